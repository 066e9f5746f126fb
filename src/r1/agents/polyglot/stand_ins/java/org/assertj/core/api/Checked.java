package org.assertj.core.api;

import java.lang.reflect.Array;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A value and what a test says of it. The expected value decides equality. */
public final class Checked<T> {
    private final T actual;

    Checked(T actual) {
        this.actual = actual;
    }

    private Checked<T> check(boolean holds, String wanted) {
        if (!holds) throw new AssertionError("expected " + wanted + " but was " + shown(actual));
        return this;
    }

    private static String shown(Object value) {
        return value != null && value.getClass().isArray() ? items(value).toString() : String.valueOf(value);
    }

    /** The items of a collection, an array or the characters of a text. */
    private static List<Object> items(Object value) {
        List<Object> found = new ArrayList<>();
        if (value instanceof Iterable<?> many) many.forEach(found::add);
        else if (value instanceof Map<?, ?> map) found.addAll(map.entrySet());
        else if (value instanceof CharSequence text) text.chars().forEach(c -> found.add((char) c));
        else for (int i = 0; i < Array.getLength(value); i++) found.add(Array.get(value, i));
        return found;
    }

    private static boolean same(Object wanted, Object got) {
        if (wanted != null && wanted.getClass().isArray() && got != null && got.getClass().isArray()) {
            List<Object> left = items(wanted), right = items(got);
            if (left.size() != right.size()) return false;
            for (int i = 0; i < left.size(); i++) if (!same(left.get(i), right.get(i))) return false;
            return true;
        }
        return Objects.equals(wanted, got);
    }

    public Checked<T> as(String description) { return this; }
    public Checked<T> withFailMessage(String message) { return this; }
    public Checked<T> isEqualTo(Object wanted) {
        boolean numbers = wanted instanceof Number a && actual instanceof Number && wanted.getClass() != actual.getClass()
            && (actual instanceof Long || actual instanceof Integer || actual instanceof Double) && a.doubleValue() == ((Number) actual).doubleValue();
        return check(numbers || same(wanted, actual), String.valueOf(shown(wanted)));
    }
    public Checked<T> isNotEqualTo(Object other) { return check(!same(other, actual), "another value"); }
    public Checked<T> isSameAs(Object wanted) { return check(wanted == actual, "the same object"); }
    public Checked<T> isTrue() { return check(Boolean.TRUE.equals(actual), "true"); }
    public Checked<T> isFalse() { return check(Boolean.FALSE.equals(actual), "false"); }
    public Checked<T> isNull() { return check(actual == null, "null"); }
    public Checked<T> isNotNull() { return check(actual != null, "a value"); }
    public Checked<T> isEmpty() { return check(items(actual).isEmpty(), "nothing in it"); }
    public Checked<T> isNotEmpty() { return check(!items(actual).isEmpty(), "something in it"); }
    public Checked<T> isInstanceOf(Class<?> type) { return check(type.isInstance(actual), type.getName()); }
    public Checked<T> hasSize(int size) { return check(items(actual).size() == size, size + " items"); }
    public Checked<T> hasToString(String text) { return check(text.equals(String.valueOf(actual)), text); }
    public Checked<T> startsWith(String text) { return check(((String) (Object) actual).startsWith(text), text); }
    public Checked<T> endsWith(String text) { return check(((String) (Object) actual).endsWith(text), text); }
    public Checked<T> matches(String pattern) { return check(((String) (Object) actual).matches(pattern), pattern); }
    public Checked<T> isZero() { return isEqualTo(0); }
    public Checked<T> isPositive() { return check(((Number) actual).doubleValue() > 0, "above 0"); }
    public Checked<T> isNegative() { return check(((Number) actual).doubleValue() < 0, "below 0"); }
    public Checked<T> isGreaterThan(Number other) { return check(((Number) actual).doubleValue() > other.doubleValue(), "above " + other); }
    public Checked<T> isLessThan(Number other) { return check(((Number) actual).doubleValue() < other.doubleValue(), "below " + other); }
    public Checked<T> isBetween(Number low, Number high) {
        double value = ((Number) actual).doubleValue();
        return check(low.doubleValue() <= value && value <= high.doubleValue(), low + " to " + high);
    }
    public Checked<T> contains(Object... wanted) {
        if (actual instanceof String text && wanted.length == 1 && wanted[0] instanceof String part)
            return check(text.contains(part), "a text with " + part);
        return check(items(actual).containsAll(List.of(wanted)), "all of " + List.of(wanted));
    }
    public Checked<T> doesNotContain(Object... others) {
        List<Object> there = items(actual);
        for (Object other : others) check(!there.contains(other), "no " + other);
        return this;
    }
    public Checked<T> containsExactly(Object... wanted) { return check(List.of(wanted).equals(items(actual)), shown(wanted)); }
    public Checked<T> containsExactlyElementsOf(Collection<?> wanted) { return check(List.copyOf(wanted).equals(items(actual)), shown(wanted)); }
    public Checked<T> containsExactlyInAnyOrder(Object... wanted) {
        List<Object> left = new ArrayList<>(items(actual));
        boolean all = left.size() == wanted.length;
        for (Object one : wanted) all &= left.remove(one);
        return check(all, shown(wanted));
    }
    public Checked<T> containsOnly(Object... wanted) {
        return check(new HashSet<>(List.of(wanted)).equals(new HashSet<>(items(actual))), shown(wanted));
    }
    public Checked<T> containsEntry(Object key, Object value) {
        return check(Objects.equals(value, ((Map<?, ?>) actual).get(key)), key + " = " + value);
    }
}
