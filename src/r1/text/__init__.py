"""Plain text read without a model: prose, words, languages, sentences, readability."""
