"""Finds items and users by what a person types."""


class Search:
    """The names of a bundle, ready to be looked through.

    Args:
        bundle (Bundle): with items, titles and maybe users.
    """

    def __init__(self, bundle):
        self.users = {}
        if bundle.facts["users"]:
            for index in range(bundle.people.blocks()):
                tokens, first, *_ = bundle.people.block(index)
                self.users.update(zip(tokens.tolist(), range(first, first + len(tokens)), strict=True))
        self._items = [
            (token, title, f"{token} {title or ''}".lower())
            for token, title in zip(bundle.items[1:], bundle.titles[1:], strict=True)
        ]

    def items(self, query, limit):
        """Items with all typed words in title or token, those in which the words begin with them first.

        Args:
            query (str): what was typed; "" gives the first items.
            limit (int): at most so many.

        Returns:
            list of dict: item, title.
        """
        words = query.lower().split()
        found = [row for row in self._items if all(word in row[2] for word in words)]
        found.sort(key=lambda row: -sum(f" {word}" in f" {row[2]}" for word in words))
        return [{"item": token, "title": title} for token, title, _ in found[:limit]]

    def users_like(self, query, limit):
        """User tokens that begin with what was typed, then those that contain it.

        Args:
            query (str): what was typed.
            limit (int): at most so many.

        Returns:
            list of str
        """
        query = query.strip().lower()
        begins, contains = [], []
        for user in self.users:
            where = user.lower().find(query)
            if where == 0:
                begins.append(user)
                if len(begins) >= limit:
                    break
            elif where > 0 and len(contains) < limit:
                contains.append(user)
        return [*begins, *contains][:limit]
