"""Why an action did not do what it should."""


class ActionFailed(Exception):
    """An action could not be run, or part of it was unusable; the turn goes on. `action` is the one that failed.

    `quoted` is what something outside answered or raised. It may hold what users and bots said: it is told to the
    author, in `message`, and is in no log by default.
    """

    def __init__(self, action: str, reason: str, quoted: str = "") -> None:
        self.message = f"{reason}: {quoted}" if quoted else reason
        super().__init__(f"{action}: {self.message}")
        self.action = action
        self.reason = reason
        self.quoted = quoted


class ValidatorFailed(ActionFailed):
    """A form's validator could not be run, so that nobody can say whether the form is complete."""


class ActionRejected(Exception):
    """An action refused to run, so that another one is predicted (Rasa's ActionExecutionRejection)."""

    def __init__(self, action: str, reason: str = "") -> None:
        super().__init__(f"{action} rejected: {reason}" if reason else f"{action} rejected")
        self.action = action
        self.reason = reason

    def as_failure(self, action: str) -> ActionFailed:
        """Where nothing else could be run in the place of `action`."""
        return ActionFailed(action, f"{self.action} rejected", self.reason)
