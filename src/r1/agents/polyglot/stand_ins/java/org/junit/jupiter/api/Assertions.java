package org.junit.jupiter.api;

import java.util.Arrays;
import java.util.Objects;

/** The assertions of JUnit 5 that Exercism's tests use. The expected value decides equality. */
public final class Assertions {
    public interface Executable {
        void execute() throws Throwable;
    }

    public static void fail(String message) {
        throw new AssertionError(message);
    }

    public static void assertTrue(boolean value) {
        if (!value) fail("expected true");
    }

    public static void assertFalse(boolean value) {
        if (value) fail("expected false");
    }

    public static void assertNull(Object value) {
        if (value != null) fail("expected null but was " + value);
    }

    public static void assertNotNull(Object value) {
        if (value == null) fail("expected a value but was null");
    }

    public static void assertEquals(Object expected, Object actual) {
        if (!Objects.equals(expected, actual)) fail("expected " + expected + " but was " + actual);
    }

    public static void assertEquals(double expected, double actual, double delta) {
        if (!(Math.abs(expected - actual) <= delta)) fail("expected " + expected + " but was " + actual);
    }

    public static void assertNotEquals(Object unexpected, Object actual) {
        if (Objects.equals(unexpected, actual)) fail("expected another value than " + actual);
    }

    public static void assertArrayEquals(Object[] expected, Object[] actual) {
        if (!Arrays.deepEquals(expected, actual)) fail("expected " + Arrays.deepToString(expected));
    }

    public static void assertArrayEquals(int[] expected, int[] actual) {
        if (!Arrays.equals(expected, actual)) fail("expected " + Arrays.toString(expected));
    }

    public static <T extends Throwable> T assertThrows(Class<T> type, Executable body) {
        try {
            body.execute();
        } catch (Throwable thrown) {
            if (type.isInstance(thrown)) return type.cast(thrown);
            throw new AssertionError("expected " + type.getName() + " but was " + thrown);
        }
        throw new AssertionError("expected " + type.getName() + ", and nothing was thrown");
    }
}
