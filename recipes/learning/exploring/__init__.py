"""How the members are used and where they are unsure: dynamics to the next pause, distances between structures."""
