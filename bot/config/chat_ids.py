"""Properties of a chat that follow from its id."""


def is_person(chat_id: str) -> bool:
    """Whether it is a private chat, or a topic in one: groups and channels have negative ids or names."""
    return chat_id.partition(":")[0].isdigit()
