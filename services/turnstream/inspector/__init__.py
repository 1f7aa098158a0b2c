"""What an author sees of an assistant's conversations: turns, why they went as they did, and what to make of them."""
