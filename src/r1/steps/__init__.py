"""Steps of a response: where they end, one value of many, how good their scores are."""
