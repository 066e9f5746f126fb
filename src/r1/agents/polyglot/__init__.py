"""Aider's polyglot benchmark: 225 Exercism tasks in six languages, edits, tests, two tries.

    exercise   a task's files            grade    a solution against the tests, in the sandbox
    toolchain  a language's commands     tries    the two tries, and what the model is told

`stand_ins` holds small parts of Catch2, Jest, JUnit with AssertJ, and a runner of unittest: the
tests of a language run offline, by the originals' rules (`@Disabled`, `xtest` and `#[ignore]` do
not count). An exercise that needs more of them fails with its own example solution, and is refused.
"""
