"""Custom actions of this assistant: what a response in the domain cannot say."""

from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher

DAYS_BETWEEN_WATERING = {"basil": 1, "fern": 3, "ivy": 5, "monstera": 7, "orchid": 10, "cactus": 21}


class ActionWatering(Action):
    """Says how often the plant of the slot `plant` wants water."""

    def name(self) -> str:
        return "action_watering"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[dict[str, Any]]:
        plant = tracker.get_slot("plant")
        days = DAYS_BETWEEN_WATERING.get(plant)
        if plant is None:
            dispatcher.utter_message(text="Which plant is it?")
        elif days is None:
            dispatcher.utter_message(text=f"Water your {plant} when the soil feels dry. Did that help?")
        else:
            every = "every day" if days == 1 else f"every {days} days"
            dispatcher.utter_message(text=f"Water your {plant} {every}. Did that help?")
        return []
