"""The invented sample in ``dataset/amazon-beauty``, so that the first command works offline.

Users follow two to four of ten interests (natural hair, nail art, shaving ...), stay with one for a
while, walk through its routine (cleanser, then toner, then serum ...), are fond of one of its
brands, and every eighth time take whatever is popular. So there is something to learn and noise
around it. Only ``random.random()`` is drawn from, the one method whose sequence Python promises to
keep, and weights are whole numbers: the files are the same on every machine, byte for byte.
"""

import argparse
import random
import sys
from pathlib import Path
from typing import NamedTuple

from recbole_sam.errors import RecBoleSAMError
from recbole_sam.prepare import atomic
from recbole_sam.prepare.folder import SYNTHETIC_MARKER, replacing

NAME = "amazon-beauty"
SEED = 2026
USERS = 1000

MARKER = f"""# This data is synthetic

The users, items, brands and purchases in this folder are invented, so that the first command of the
README works offline. Results on them say nothing about any model.

Made by `python -m recbole_sam.prepare.synthetic` (seed {SEED}), which also remakes it.

To put the real data in its place (Amazon Review Data 2018, All Beauty):

    python -m recbole_sam prepare --dataset={NAME}

or from your own files:

    python -m recbole_sam prepare --dataset={NAME} --interactions=interactions.csv --items=items.csv
"""


class Topic(NamedTuple):
    """One latent interest: its shelf, brands, routine (in order), and words for its titles."""

    shelf: tuple
    brands: tuple
    routine: tuple
    flavours: tuple
    ending: str


TOPICS = (
    Topic(
        ("Hair Care", "Curly Hair"),
        ("Rizora", "Mane Orchard", "Coilette"),
        (
            "Co-Wash Cleansing Conditioner", "Deep Treatment Mask", "Leave-In Conditioner",
            "Curl Defining Cream", "Curl Refresher Spray",
        ),
        ("Shea Butter", "Coconut Milk", "Argan Oil", "Flaxseed"),
        "for Curly and Coily Hair",
    ),
    Topic(
        ("Makeup", "Nails"),
        ("Lacquerelle", "Tipsy Bee", "Gelora"),
        ("Nail Base Coat", "Gel Nail Polish", "Nail Art Stamping Kit", "Quick Dry Top Coat",
         "Cuticle Oil Pen"),
        ("Glitter", "Nude Pink", "Holographic", "Cherry Red"),
        "for Home Manicure",
    ),
    Topic(
        ("Shave & Hair Removal", "Men"),
        ("Barrow & Finch", "Northbeard", "Keen Edge"),
        ("Pre-Shave Oil", "Shaving Cream", "Safety Razor", "After Shave Balm", "Beard Oil"),
        ("Sandalwood", "Menthol", "Unscented", "Bay Rum"),
        "for Men",
    ),
    Topic(
        ("Skin Care", "Face"),
        ("Dewlight", "Seoulique", "Hanbora"),
        ("Foaming Face Cleanser", "Hydrating Toner", "Brightening Serum", "Gel Moisturizer",
         "Overnight Sheet Mask"),
        ("Snail Mucin", "Green Tea", "Niacinamide", "Rice Water"),
        "for Glowing Skin",
    ),
    Topic(
        ("Skin Care", "Anti-Aging"),
        ("Timeless Fern", "Retiva", "Maison Alder"),
        ("Exfoliating Peel", "Retinol Serum", "Firming Eye Cream", "Night Repair Cream",
         "Neck Lifting Lotion"),
        ("Peptide", "Vitamin C", "Hyaluronic Acid", "Collagen"),
        "for Fine Lines and Wrinkles",
    ),
    Topic(
        ("Makeup", "Eyes"),
        ("Kohlista", "Blinkery", "Noir Atelier"),
        ("Eyeshadow Primer", "Eyeshadow Palette", "Liquid Eyeliner", "Volumizing Mascara",
         "False Eyelashes"),
        ("Smoky", "Waterproof", "Rose Gold", "Matte Brown"),
        "for Dramatic Eyes",
    ),
    Topic(
        ("Fragrance", "Women"),
        ("Petale Bleu", "Oriflora", "Amber Quay"),
        ("Eau de Parfum Spray", "Perfume Oil Roll-On", "Body Mist", "Scented Body Lotion",
         "Fragrance Gift Set"),
        ("Jasmine", "Vanilla", "White Musk", "Peony"),
        "for Women",
    ),
    Topic(
        ("Bath & Body", "Natural"),
        ("Meadowbar", "Salt & Sage", "Honeyhouse"),
        ("Handmade Bar Soap", "Body Scrub", "Bath Bombs", "Whipped Body Butter",
         "Natural Deodorant"),
        ("Lavender", "Oatmeal Honey", "Tea Tree", "Himalayan Salt"),
        "Made with Organic Ingredients",
    ),
    Topic(
        ("Hair Care", "Styling Tools"),
        ("Voltress", "Silkwave", "Airloft"),
        ("Heat Protectant Spray", "Ionic Hair Dryer", "Flat Iron", "Curling Wand",
         "Anti-Frizz Finishing Serum"),
        ("Ceramic", "Titanium", "Travel Size", "Tourmaline"),
        "for Salon Results",
    ),
    Topic(
        ("Skin Care", "Sun"),
        ("Solbarrier", "Reefkind", "Lumashade"),
        ("Mineral Sunscreen SPF 50", "Face Sunscreen Stick", "Lip Balm SPF 30",
         "After Sun Aloe Gel", "Self Tanning Mousse"),
        ("Zinc Oxide", "Tinted", "Fragrance Free", "Cooling Cucumber"),
        "for Sensitive Skin",
    ),
)  # fmt: skip

SIZES = ("1 oz", "2 fl oz", "4 oz", "8 fl oz", "Pack of 2", "Set of 3")


class Product(NamedTuple):
    """One item: where it stands, and how popular it is (any positive whole number)."""

    token: str
    title: str
    brand: str
    categories: str
    topic: int
    step: int
    popularity: int


def make_products(draw):
    """Eight items for each step of each topic.

    Args:
        draw (callable): returns a float in [0, 1), like ``random.random``.

    Returns:
        list of Product: 400 items.
    """
    products = []
    for number, topic in enumerate(TOPICS):
        for step, kind in enumerate(topic.routine):
            pairs = [(brand, flavour) for brand in topic.brands for flavour in topic.flavours]
            for rank in range(8):
                brand, flavour = pairs.pop(int(draw() * len(pairs)))
                size = SIZES[int(draw() * len(SIZES))]
                products.append(
                    Product(
                        token=f"item{len(products) + 1:03d}",
                        title=f"{brand} {flavour} {kind} {topic.ending}, {size}",
                        brand=brand,
                        categories=", ".join(("Beauty & Personal Care", *topic.shelf)),
                        topic=number,
                        step=step,
                        popularity=840 // (rank + 1),  # 840 is divisible by 1 to 8
                    )
                )
    return products


def make_history(draw, products):
    """What one user buys, in order, and how they rate it.

    Args:
        draw (callable): returns a float in [0, 1).
        products (list of Product): the catalogue.

    Returns:
        list: tuples of Product, rating (1 to 5), and days since the one before; 5 to 40 of them,
        about 9 on average, no product twice.
    """
    topics = _distinct(draw, [100 // (rank + 2) for rank in range(len(TOPICS))], 2 + int(draw() * 3))
    fond_of = {topic: TOPICS[topic].brands[int(draw() * 3)] for topic in topics}
    reached = {topic: int(draw() * 5) for topic in topics}
    current = topics[0]
    left, history = list(products), []
    while left and (len(history) < 5 or (draw() < 0.8 and len(history) < 40)):
        if draw() < 1 / 8:
            weights = [product.popularity for product in left]
        else:
            if draw() < 0.35:
                current = topics[_pick(draw, [12 // (rank + 1) for rank in range(len(topics))])]
            step = reached[current] if draw() < 0.7 else int(draw() * 5)
            weights = [_appeal(product, current, step, fond_of[current]) for product in left]
        product = left.pop(_pick(draw, weights))
        if product.topic in reached:
            reached[product.topic] = (product.step + 1) % 5
        liked = product.topic in topics
        rating = _pick(draw, (1, 1, 2, 6, 10) if liked else (3, 2, 3, 3, 3)) + 1
        history.append((product, rating, 1 + int(draw() * 40)))
    return history


def write(folder):
    """Writes the sample's files.

    Args:
        folder (pathlib.Path): an existing folder.

    Returns:
        None.
    """
    draw = random.Random(SEED).random
    products = make_products(draw)
    rows = []
    for user in range(1, USERS + 1):
        day = 16_000 + int(draw() * 1000)  # days since 1970: from October 2013 on
        for product, rating, pause in make_history(draw, products):
            day += pause
            rows.append((f"user{user:04d}", product.token, rating, day * 86_400))
    rows.sort(key=lambda row: row[3])
    fields = {"user_id": "token", "item_id": "token", "rating": "float", "timestamp": "float"}
    atomic.write_rows(folder / f"{NAME}.inter", fields, rows)
    atomic.write_rows(
        folder / f"{NAME}.item",
        {"item_id": "token", "title": "token", "brand": "token", "categories": "token"},
        (product[:4] for product in products),
    )
    (folder / SYNTHETIC_MARKER).write_text(MARKER, encoding="utf-8")


def _appeal(product, topic, step, brand):
    if product.topic != topic:
        return product.popularity
    fit = 100 if product.step == step else 5
    return fit * product.popularity * (4 if product.brand == brand else 1)


def _pick(draw, weights):
    """Position drawn in proportion to whole-numbered weights."""
    goal = draw() * sum(weights)
    for position, weight in enumerate(weights):
        goal -= weight
        if goal < 0:
            return position
    return len(weights) - 1


def _distinct(draw, weights, count):
    """``count`` distinct positions, each drawn in proportion to the weights that are left."""
    weights, chosen = list(weights), []
    for _ in range(count):
        position = _pick(draw, weights)
        chosen.append(position)
        weights[position] = 0
    return chosen


def main(arguments=None):
    """Remakes the sample; real data in its place is only replaced with ``--overwrite``."""
    parser = argparse.ArgumentParser(prog="python -m recbole_sam.prepare.synthetic")
    parser.add_argument("--data_path", default="dataset", metavar="FOLDER", help="RecBole's data_path")
    parser.add_argument("--overwrite", action="store_true", help="replace real data")
    args = parser.parse_args(arguments)
    folder = Path(args.data_path) / NAME
    try:
        with replacing(folder, args.overwrite) as new:
            write(new)
    except RecBoleSAMError as error:
        print(f"recbole-sam: {error}", file=sys.stderr)
        return 2
    print(f"Written to {folder}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
