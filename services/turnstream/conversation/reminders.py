"""Whether a reminder that has come due is still wanted."""

from turnstream.dialogue.events import ReminderCancelled, ReminderScheduled, UserUttered
from turnstream.dialogue.fold import Dialogue


def is_wanted(dialogue: Dialogue, reminder: ReminderScheduled) -> bool:
    """It was scheduled, not cancelled since, and the user did not speak meanwhile where that was to stop it."""
    spoke = False
    for event in dialogue.latest_applied():
        if isinstance(event, ReminderCancelled) and _cancels(event, reminder):
            return False
        if isinstance(event, UserUttered) and event.message_id is not None:
            spoke = True
        if isinstance(event, ReminderScheduled) and event.name == reminder.name:
            return not (spoke and reminder.kill_on_user_msg)
    return False


def _cancels(event: ReminderCancelled, reminder: ReminderScheduled) -> bool:
    return (
        event.name in (None, reminder.name)
        and event.intent in (None, reminder.intent)
        and (event.entities is None or event.entities == reminder.entities)
    )
