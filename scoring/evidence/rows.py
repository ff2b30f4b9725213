"""The table that is judged: one row a decision, with its score, its parts, its end and what chance made beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.facts.market import BoolArray, FloatArray, IntArray

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """n decisions in the order of their times. All R are from the price a person could reach, in planned risk."""

    decided_ms: IntArray  #: (n,) [epoch ms]
    coin: NDArray[np.str_]  #: (n,)
    score: FloatArray  #: (n,) [0…100]
    gross_r: FloatArray  #: (n,) before fees and funding; NaN: nobody could enter, or the end is not known
    net_r: FloatArray  #: (n,) after them; NaN as `gross_r`
    part_names: tuple[str, ...] = ()
    parts: FloatArray = field(default_factory=lambda: np.empty((0, 0)))  #: (n, k) [points], NaN: missing
    is_approximate: BoolArray = field(default_factory=lambda: np.empty((0, 0), bool))  #: (n, k) not as live
    gate_names: tuple[str, ...] = ()
    gates: BoolArray = field(default_factory=lambda: np.empty((0, 0), bool))  #: (n, g) passed
    #: R net of what chance drew beside each row, by arm, (n, draws), NaN: none
    controls: dict[str, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self)
        for name, width in (
            ("parts", self.part_names),
            ("is_approximate", self.part_names),
            ("gates", self.gate_names),
        ):
            if getattr(self, name).shape == (0, 0):  # not given
                object.__setattr__(self, name, np.zeros((n, len(width)), getattr(self, name).dtype))
        arrays = {one.name: getattr(self, one.name) for one in fields(self)}
        wrong = [name for name, value in arrays.items() if isinstance(value, np.ndarray) and len(value) != n]
        wrong += [arm for arm, drawn in self.controls.items() if len(drawn) != n]
        wrong += [name for name in ("parts", "is_approximate") if arrays[name].shape[1] != len(self.part_names)]
        if wrong:
            raise ValueError(f"{n} decisions, but {', '.join(wrong)} of another shape")

    def __len__(self) -> int:
        return len(self.decided_ms)

    @property
    def day(self) -> IntArray:
        """The UTC day of each row, counted from 1970, (n,)."""
        return self.decided_ms // DAY_MS

    @property
    def month(self) -> NDArray[np.str_]:
        """The UTC month of each row, such as 2026-02, (n,)."""
        return np.datetime_as_string(self.decided_ms.astype("datetime64[ms]"), unit="M")

    @property
    def has_result(self) -> BoolArray:
        """Which rows somebody could enter and whose end is known, (n,)."""
        return ~np.isnan(self.net_r)

    @property
    def is_strict(self) -> BoolArray:
        """Which rows have all parts, none of them approximate, (n,)."""
        return np.asarray(~(np.isnan(self.parts) | self.is_approximate).any(axis=1))

    def where(self, mask: BoolArray) -> "Rows":
        """Return the rows of the mask, (n,)."""
        changed: dict[str, Any] = {
            one.name: value[mask] for one in fields(self) if isinstance(value := getattr(self, one.name), np.ndarray)
        }
        return replace(self, **changed, controls={arm: drawn[mask] for arm, drawn in self.controls.items()})


def codes(*keys: Sequence[Any] | NDArray[Any]) -> IntArray:
    """Return one number from 0 up for each distinct combination of the keys, (n,)."""
    combined = np.zeros(len(keys[0]), np.int64)
    for key in keys:
        values, inverse = np.unique(np.asarray(key), return_inverse=True)
        combined = combined * len(values) + inverse
    return np.asarray(np.unique(combined, return_inverse=True)[1], np.int64)
