"""Which messages ring: the settings and the quiet hours, which /quiet changes and a restart keeps."""

from collections.abc import Mapping

from bot.clock import Clock
from bot.config.sounds import Mode, QuietHours, is_silent, parse_quiet_hours
from storage.messages import Kind
from storage.store import Store

_QUIET_HOURS = "quiet_hours"  #: as /quiet set them, "" for none, in the store's state


class Sounds:
    """Knows what rings now."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        modes: Mapping[Kind, Mode],
        quiet_hours: QuietHours | None,
        timezone: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._modes = modes
        self._timezone = timezone
        self.quiet_hours = quiet_hours

    async def recall(self) -> None:
        """Go on with the quiet hours that /quiet set before a restart."""
        if (quiet := await self._store.state.get(_QUIET_HOURS)) is not None:
            self.quiet_hours = parse_quiet_hours(quiet) if quiet else None

    async def set_quiet_hours(self, quiet_hours: QuietHours | None) -> None:
        """Let nothing ring in these hours, from now on and after a restart."""
        await self._store.state.put(_QUIET_HOURS, str(quiet_hours) if quiet_hours else "")
        self.quiet_hours = quiet_hours

    def is_silent(self, kind: Kind) -> bool:
        """Whether a message of this kind would not ring now."""
        return is_silent(self._modes, kind, self.quiet_hours, self._clock.now_ms(), self._timezone)

    def is_off(self, kind: Kind) -> bool:
        """Whether messages of this kind are not sent at all."""
        return self._modes[kind] is Mode.OFF
