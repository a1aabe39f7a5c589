"""What Encodings shows: a scatter under the hand, what was pointed at, and what hides in it."""
