"""What callers send: typed, and refused if anything in it is unknown."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=500)]
Phrase = Annotated[str, Field(min_length=1, max_length=300)]


class Person(BaseModel):
    """Whom a request is about: a known user, or a session of items."""

    model_config = ConfigDict(extra="forbid", strict=True)
    bundle: Name | None = Field(None, description="which bundle; default: the first")
    user: Name | None = Field(None, description="a known user")
    items: list[Name] | None = Field(None, description="instead of a user: a session, oldest item first")
    history: Literal["full", "valid", "train"] = Field("full", description="of a known user")
    new_interests: Literal["live", "default"] = Field("live", description="of a session")
    steer: list[Phrase] = Field([], max_length=5, description="phrases: items whose titles fit them rise")
    strength: float = Field(1.0, ge=0, le=10, allow_inf_nan=False, description="of the phrases")
    without_interests: list[Annotated[int, Field(ge=1, le=1000)]] = Field(
        [], max_length=100, description="interests to leave out, by their number from 1"
    )
    strict: bool = Field(True, description="whether unknown items are an error, or left out")


class Recommend(Person):
    """The best next items."""

    k: int = Field(10, ge=1, description="items")
    exclude_seen: bool = Field(True, description="whether items of the history are left out")
    among: list[Name] | None = Field(None, description="the only candidates")
    without: list[Name] | None = Field(None, description="items that are no candidates")


class Explain(Person):
    """Why an item is recommended."""

    item: Name


class Similar(BaseModel):
    """The items nearest to an item."""

    model_config = ConfigDict(extra="forbid", strict=True)
    bundle: Name | None = None
    item: Name
    k: int = Field(10, ge=1)
    by: Literal["model", "text"] = "model"


class Recommended(BaseModel):
    """One place of a list."""

    rank: int
    item: str
    title: str | None
    score: float


class Recommendations(BaseModel):
    """What `/recommend` and `/similar` answer."""

    bundle: str
    items: list[Recommended]
