package org.assertj.core.api;

/** The entry points of AssertJ that Exercism's tests use. */
public final class Assertions {
    public interface ThrowingCallable {
        void call() throws Throwable;
    }

    public static <T> Checked<T> assertThat(T actual) {
        return new Checked<>(actual);
    }

    public static Thrown assertThatExceptionOfType(Class<? extends Throwable> type) {
        return new Thrown(type);
    }

    public static Thrown assertThatIllegalArgumentException() {
        return new Thrown(IllegalArgumentException.class);
    }

    public static Thrown assertThatIllegalStateException() {
        return new Thrown(IllegalStateException.class);
    }

    public static Thrown assertThatThrownBy(ThrowingCallable body) {
        return new Thrown(Throwable.class).isThrownBy(body);
    }

    public static void assertThatNoException(ThrowingCallable body) throws Throwable {
        body.call();
    }
}
