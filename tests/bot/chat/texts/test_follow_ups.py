"""What is said below an alert later: the lines, and how they get there."""

from dataclasses import replace
from pathlib import Path

from bot.chat.texts import follow_ups
from bot.chat.texts.alerts import entry_buttons, render_entry
from bot.chat.texts.marks import add_follow_ups, mark_sent
from bot.chat.texts.markup import Markup
from bot.chat.texts.phrases import LONGEST_SENT
from fetchers.health import Notice
from fetchers.simulated.scenario import Planted
from scoring.settings import ScoringSettings
from scoring.signals import ExitReason, Fill
from storage.messages import FollowUp, Kind, NewMessage
from tests.bot.builders import make_open_signal
from tests.bot.conftest import GROUP, PERSON, World, quote
from tests.bot.stage import staged
from tests.storage.builders import (
    DECIDED_MS,
    entry_message,
    exit_message,
    make_levels,
    make_message,
    make_outcome,
    make_signal,
)
from tests.telegram_html import read_html
from tests.telegram_stand_in import Fault, Received

SETTINGS = ScoringSettings(timezone="Europe/Rome", trailing_enabled=True)
LINE = FollowUp(signal_id=1, html="<b>22:24 TP hit: +1.59 % net</b>")


def test_trailing_is_told_once() -> None:
    """The stop that follows the price is told as it is armed, and not again."""
    before = make_open_signal(best_price=0.00001222, looked_ms=DECIDED_MS + 60_000)
    armed = replace(before, is_trailing_armed=True)
    assert follow_ups.of_look(before, armed, SETTINGS) == [
        FollowUp(signal_id=1, html="23:14 Trailing: the stop is now 0.000012269 and follows the best price by 0.4 %")
    ]
    assert follow_ups.of_look(armed, armed, SETTINGS) == follow_ups.of_look(before, before, SETTINGS) == []


def test_each_target_that_was_hit_is_told() -> None:
    """Which share was closed where, and what stays open; not again at the next look."""
    signal = make_signal(levels=make_levels(take_profits=(0.0000122, 0.0000121, 0.000012), shares=(0.34, 0.33, 0.33)))
    before = make_open_signal(signal=signal)
    fills = [
        Fill(share=share, price=price, time_ms=DECIDED_MS + 60_000, reason=ExitReason.TAKE_PROFIT)
        for share, price in ((0.34, 0.0000122), (0.33, 0.0000121))
    ]
    after = replace(before, fills=tuple(fills))
    assert [one.html for one in follow_ups.of_look(before, after, SETTINGS)] == [
        "23:14 Closed 34% at 0.000012200 (TP 1), 66% stay open",
        "23:14 Closed 33% at 0.000012100 (TP 2), 33% stay open",
    ]
    assert follow_ups.of_look(after, after, SETTINGS) == []


def test_a_venue_that_is_blind_and_back() -> None:
    """Who holds a position on the venue reads on the alert that nobody watches it, and when that is over."""
    here, elsewhere = make_open_signal(1), make_open_signal(2, signal=make_signal(2, venue="mexc"))
    texts = [
        [(one.signal_id, one.html) for one in follow_ups.of_venue(notice, [here, elsewhere], DECIDED_MS, SETTINGS)]
        for notice in (Notice(venue="bybit", is_back=is_back, since_ms=0) for is_back in (False, True))
    ]
    assert texts == [
        [(1, "23:13 Bybit is blind: nothing is seen of this pair until it is back")],
        [(1, "23:13 Bybit is back: what happened meanwhile is settled now")],
    ]


def test_an_exit_in_a_line() -> None:
    """The alert itself says how it ended."""
    outcome = make_outcome(reason=ExitReason.STOP_LOSS)
    said = follow_ups.of_exit(make_signal(1), outcome, SETTINGS)
    assert said.html == "<b>23:23 SL hit: +1.59 % net, +1.77 R</b>"
    assert [button.text for button in said.buttons or ()] == ["Details", "Chart", "Mute 1 h"], (
        "nothing to copy any more"
    )


def test_the_latest_lines_stay() -> None:
    """An alert that says much is not made too long for Telegram: its first lines go."""
    alert = Markup("x") * 3_000
    follow_up = "".join(f"\n{number:04} {'y' * 95}" for number in range(20))
    html = add_follow_ups(alert, follow_up)
    assert len(html) <= LONGEST_SENT
    assert html.startswith(f"{alert}\n0010 ")
    assert html.endswith(f"0019 {'y' * 95}")
    assert add_follow_ups(Markup("x") * 5_000, follow_up) == "x" * 5_000


async def chats(world: World) -> dict[int, list[Received]]:
    """Return what stands in each chat."""
    found: dict[int, list[Received]] = {}
    for message in world.telegram.messages:
        found.setdefault(message.chat_id, []).append(message)
    return found


def alert(chat_id: int) -> NewMessage:
    """A whole alert with its buttons."""
    signal = make_signal(1)
    html = render_entry(signal, track_record="no data", decided_after_ms=12)
    return replace(entry_message(1, str(chat_id)), html=html, buttons=entry_buttons(signal))


async def test_edited_not_resent(world: World) -> None:
    """In every chat the alert that stands there gains the lines, keeps its stamp, and nothing new comes."""
    world.run(world.delivery.run())
    await world.queue(alert(PERSON), alert(GROUP))
    await world.wait_for_states(sent=2)
    before = {message.chat_id: message.html for message in world.telegram.messages}
    await world.clock.advance(600)
    for line in ("22:20 one", LINE.html):
        await world.queue(replace(LINE, html=line))
        await world.wait_for_states(sent=2)
        assert [button["text"] for button in world.telegram.messages[0].buttons][-1] == "Copy"
    details = entry_buttons(make_signal(1))[:1]
    await world.queue(replace(LINE, html="over", buttons=details))
    await world.pass_time(lambda: all("over" in message.html for message in world.telegram.messages))
    await world.wait_for_states(sent=2)
    assert [button["text"] for message in world.telegram.messages for button in message.buttons] == ["Details"] * 2
    assert {message.chat_id: message.html for message in world.telegram.messages} == {
        chat_id: f"{html}\n22:20 one\n{LINE.html}\nover" for chat_id, html in before.items()
    }
    assert ", sent +0 ms" in read_html(world.telegram.messages[0].html)
    assert world.telegram.requests.count("sendMessage") == 2
    latency = world.delivery.record.latency()
    assert latency is not None
    assert latency.count == 2, "an edit is no alert"


async def test_marks_stay(world: World) -> None:
    """What was said of an alert as it left, that it was late and that others had expired, is not edited away."""
    quote(world, 1, 0.0000122216)
    await world.store.outbox.enqueue([entry_message(2), entry_message(1)])
    await world.store.outbox.mark_expired(1)
    await world.clock.advance(45)
    world.run(world.delivery.run())
    await world.wait_for_states(sent=1, expired=1)
    await world.queue(LINE, FollowUp(signal_id=2, html="never seen"))
    await world.pass_time(lambda: world.telegram.edits == 1)
    await world.wait_for_states(sent=1, expired=1)
    (message,) = world.telegram.messages
    assert message.text == (
        "LATE 45 s, price -1.00 % since\nSHORT 1\n\n1 earlier message could not be sent in time and expired\n"
        "22:24 TP hit: +1.59 % net"
    )


async def test_an_alert_that_still_waits_takes_the_line_along(world: World) -> None:
    """Where the alert has not gone out yet, it goes with what has become of it, as one message."""
    await world.queue(entry_message(1), LINE)
    world.run(world.delivery.run())
    await world.wait_for_states(sent=1)
    assert [message.text for message in world.telegram.messages] == ["SHORT 1\n22:24 TP hit: +1.59 % net"]


async def test_an_edit_comes_after_all_that_is_new(world: World) -> None:
    """Exits, alerts and notices go before the lines below older alerts, and no exit waits for one."""
    world.run(world.delivery.run())
    await world.queue(entry_message(1), make_message(html="a"), make_message(html="b"))
    await world.wait_for_states(sent=3)
    await world.queue(LINE, make_message(html="c"), entry_message(2), exit_message(1))
    await world.pass_time(lambda: world.telegram.edits == 1)
    assert [message.text for message in world.telegram.messages][3:] == ["EXIT 1", "SHORT 2", "c"]
    assert world.telegram.messages[3].reply_to == world.telegram.messages[0].message_id


async def test_an_edit_whose_reply_is_lost(world: World) -> None:
    """An edit is repeated until Telegram says that it is there, in a group too, and marks nothing."""
    world.run(world.delivery.run())
    await world.queue(entry_message(1, str(GROUP)))
    await world.wait_for_states(sent=1)
    world.telegram.faults += [("editMessageText", fault) for fault in (Fault.LOSE_REPLY, Fault.BAD_GATEWAY)]
    await world.queue(LINE)
    await world.pass_time(lambda: world.telegram.requests.count("editMessageText") == 3)
    await world.wait_for_states(sent=1)
    assert [message.text for message in world.telegram.messages] == ["SHORT 1\n22:24 TP hit: +1.59 % net"]


async def test_an_alert_in_doubt_or_gone(world: World) -> None:
    """A line for an alert in doubt, for one that is deleted or in a chat that is ours no more sends nothing new."""
    world.telegram.faults.append(("sendMessage", Fault.LOSE_REPLY))
    world.run(world.delivery.run())
    await world.queue(entry_message(1, str(GROUP)))
    await world.wait_for_states(uncertain=1)
    await world.queue(entry_message(2), entry_message(3, "7"))
    await world.wait_for_states(sent=2, uncertain=1)
    world.telegram.messages = [message for message in world.telegram.messages if message.chat_id != PERSON]
    await world.store.chats.keep_only([str(PERSON), str(GROUP)])
    await world.queue(*(FollowUp(signal_id=number, html="x") for number in (1, 2, 3)))
    await world.telegram.wait_for(lambda: "editMessageText" in world.telegram.requests)
    await world.wait_for_states(sent=2, uncertain=1)
    assert world.telegram.requests.count("editMessageText") == 1
    assert {incident.what for incident in world.delivery.record.incidents()} == {"rejected", "uncertain"}


async def test_unreadable_html(world: World) -> None:
    """An edit that Telegram cannot read is made in plain text."""
    world.run(world.delivery.run())
    await world.queue(entry_message(1))
    await world.wait_for_states(sent=1)
    await world.queue(replace(LINE, html="<coin> ended"))
    await world.pass_time(lambda: world.telegram.edits == 1)
    await world.wait_for_states(sent=1)
    assert world.telegram.messages[0].text == "SHORT 1\n<coin> ended"


async def test_a_group_that_moved(world: World) -> None:
    """Nothing is edited or replied to by the numbers of the group's old id: they mean other messages in its new one."""
    world.run(world.delivery.run())
    await world.queue(entry_message(1, str(GROUP)))
    await world.wait_for_states(sent=1)
    world.telegram.groups.add(-1001)
    world.telegram.migrated[GROUP] = -1001
    await world.queue(LINE)
    await world.telegram.wait_for(lambda: "editMessageText" in world.telegram.requests)
    await world.wait_for_states(sent=1)
    await world.queue(exit_message(1, str(GROUP)), entry_message(2, str(GROUP)))
    await world.wait_for_states(sent=3)
    await world.queue(replace(LINE, signal_id=2, html="x"))
    await world.pass_time(lambda: world.telegram.edits == 1)
    moved = [message for message in world.telegram.messages if message.chat_id == -1001]
    assert {(message.text, message.reply_to) for message in moved} == {("EXIT 1", None), ("SHORT 2\nx", None)}


async def test_off_and_silent(world: World) -> None:
    """Where alerts are off nothing stands that could be edited, and nothing is sent in its place."""
    world.run(world.delivery.run())
    await world.queue(LINE, make_message(kind=Kind.NOTICE))
    await world.wait_for_states(sent=1)
    assert [message.text for message in world.telegram.messages] == ["started"]


async def test_the_whole_way(tmp_path: Path) -> None:
    """On the simulated market the stored alert says when its trailing exit was armed, and how it ended."""
    setup = Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="take_profit")
    async with (
        staged(tmp_path, setup, exchanges={"bybit"}, TRAILING_ENABLED="on", TRAIL_ACTIVATION_PERCENT="0.5") as stage,
        stage.bot() as bot,
    ):
        await bot.tick_for(60)
        rows = await bot.store.database.read("SELECT html, follow_up FROM outbox WHERE kind = 'entry'")
        text = stage.terminal.getvalue()
    ((html, follow_up),) = rows
    armed, ended = follow_up.splitlines()[1:]
    assert "Trailing: the stop is now" in armed
    assert ended.startswith("<b>")
    assert " net, " in ended
    assert mark_sent(html, 0) == html, "the stamp is kept as it was sent"
    assert text.count("Alerts like it") == 1
    assert "Trailing: the stop" not in text, "what stands in a terminal stays"
