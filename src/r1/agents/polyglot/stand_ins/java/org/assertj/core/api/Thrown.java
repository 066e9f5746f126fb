package org.assertj.core.api;

import java.util.Objects;

/** An exception that a test expects, then what it says. */
public final class Thrown {
    private final Class<? extends Throwable> type;
    private Throwable caught;

    Thrown(Class<? extends Throwable> type) {
        this.type = type;
    }

    public Thrown isThrownBy(Assertions.ThrowingCallable body) {
        try {
            body.call();
        } catch (Throwable thrown) {
            caught = thrown;
        }
        return isInstanceOf(type);
    }

    public Thrown isInstanceOf(Class<? extends Throwable> wanted) {
        if (!wanted.isInstance(caught))
            throw new AssertionError("expected " + wanted.getName() + " but was " + caught);
        return this;
    }

    public Thrown withMessage(String message) {
        if (!Objects.equals(message, caught.getMessage()))
            throw new AssertionError("expected \"" + message + "\" but was \"" + caught.getMessage() + "\"");
        return this;
    }

    public Thrown hasMessage(String message) {
        return withMessage(message);
    }

    public Thrown withMessageContaining(String part) {
        if (!String.valueOf(caught.getMessage()).contains(part))
            throw new AssertionError("expected a message with \"" + part + "\"");
        return this;
    }
}
