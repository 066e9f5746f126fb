// Calls a method of the answer, which stands above, for each line of standard input: a JSON list of
// arguments. The first line is the nonce. For each call one line is written: nonce, number, "ok" or
// "error", and the result as JSON. Arguments become the types that the method declares.
class R1Json {
    private final String source;
    private int at = 0;

    R1Json(String source) { this.source = source; }

    private char peek() {
        while (at < source.length() && Character.isWhitespace(source.charAt(at))) at++;
        return at < source.length() ? source.charAt(at) : '\0';
    }

    private boolean take(char c) {
        if (peek() != c) return false;
        at++;
        return true;
    }

    Object value() {
        char c = peek();
        if (c == '"') return string();
        if (take('[')) {
            java.util.List<Object> items = new java.util.ArrayList<>();
            while (!take(']')) { items.add(value()); take(','); }
            return items;
        }
        if (take('{')) {
            java.util.Map<String, Object> fields = new java.util.LinkedHashMap<>();
            while (!take('}')) { peek(); String key = string(); take(':'); fields.put(key, value()); take(','); }
            return fields;
        }
        int start = at;
        while (at < source.length() && ",]} \t\r\n".indexOf(source.charAt(at)) < 0) at++;
        String word = source.substring(start, at);
        switch (word) {
            case "null": return null;
            case "true": return Boolean.TRUE;
            case "false": return Boolean.FALSE;
            case "NaN": return Double.NaN;
            case "Infinity": return Double.POSITIVE_INFINITY;
            case "-Infinity": return Double.NEGATIVE_INFINITY;
            default: return new java.math.BigDecimal(word);
        }
    }

    private String string() {
        StringBuilder out = new StringBuilder();
        at++;
        while (source.charAt(at) != '"') {
            char c = source.charAt(at++);
            if (c != '\\') { out.append(c); continue; }
            c = source.charAt(at++);
            switch (c) {
                case 'n': out.append('\n'); break;
                case 't': out.append('\t'); break;
                case 'r': out.append('\r'); break;
                case 'b': out.append('\b'); break;
                case 'f': out.append('\f'); break;
                case 'u': out.append((char) Integer.parseInt(source.substring(at, at + 4), 16)); at += 4; break;
                default: out.append(c);
            }
        }
        at++;
        return out.toString();
    }

    static void write(StringBuilder out, Object v) {
        if (v == null) {
            out.append("null");
        } else if (v instanceof java.util.Optional) {
            write(out, ((java.util.Optional<?>) v).orElse(null));
        } else if (v instanceof Number || v instanceof Boolean) {
            out.append(v);
        } else if (v.getClass().isArray()) {
            out.append('[');
            for (int i = 0; i < java.lang.reflect.Array.getLength(v); i++) {
                if (i > 0) out.append(',');
                write(out, java.lang.reflect.Array.get(v, i));
            }
            out.append(']');
        } else if (v instanceof Iterable) {
            out.append('[');
            String comma = "";
            for (Object item : (Iterable<?>) v) { out.append(comma); comma = ","; write(out, item); }
            out.append(']');
        } else if (v instanceof java.util.Map) {
            out.append('{');
            String comma = "";
            for (java.util.Map.Entry<?, ?> e : ((java.util.Map<?, ?>) v).entrySet()) {
                out.append(comma);
                comma = ",";
                write(out, String.valueOf(e.getKey()));
                out.append(':');
                write(out, e.getValue());
            }
            out.append('}');
        } else if (v instanceof CharSequence || v instanceof Character) {
            text(out, v.toString());
        } else {
            throw new IllegalArgumentException("a " + v.getClass().getName() + " cannot be written as JSON");
        }
    }

    static void text(StringBuilder out, String v) {
        out.append('"');
        for (char c : v.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < 32 || c > 126) out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        out.append('"');
    }

    static Object convert(Object v, java.lang.reflect.Type type) {
        if (type instanceof java.lang.reflect.ParameterizedType) {
            java.lang.reflect.ParameterizedType generic = (java.lang.reflect.ParameterizedType) type;
            java.lang.reflect.Type[] inner = generic.getActualTypeArguments();
            Class<?> raw = (Class<?>) generic.getRawType();
            if (raw == java.util.Optional.class) return java.util.Optional.ofNullable(convert(v, inner[0]));
            if (v == null) return null;
            if (java.util.Map.class.isAssignableFrom(raw)) {
                java.util.Map<Object, Object> out = raw == java.util.TreeMap.class
                    ? new java.util.TreeMap<>() : new java.util.LinkedHashMap<>();
                for (java.util.Map.Entry<?, ?> e : ((java.util.Map<?, ?>) v).entrySet()) {
                    Object key = inner[0] == String.class ? e.getKey()
                        : convert(new java.math.BigDecimal((String) e.getKey()), inner[0]);
                    out.put(key, convert(e.getValue(), inner[1]));
                }
                return out;
            }
            java.lang.reflect.Constructor<?>[] makers = raw.getDeclaredConstructors();
            if (makers.length == 1 && makers[0].getParameterCount() == inner.length) {  // a pair
                java.lang.reflect.Constructor<?> made = makers[0];
                java.util.List<?> items = (java.util.List<?>) v;
                Object[] values = new Object[inner.length];
                for (int i = 0; i < inner.length; i++) values[i] = convert(items.get(i), inner[i]);
                made.setAccessible(true);
                try {
                    return made.newInstance(values);
                } catch (ReflectiveOperationException error) {
                    throw new IllegalArgumentException(error);
                }
            }
            java.util.Collection<Object> out;
            if (raw == java.util.LinkedList.class || raw == java.util.Queue.class || raw == java.util.Deque.class)
                out = new java.util.LinkedList<>();
            else if (java.util.Set.class.isAssignableFrom(raw)) out = new java.util.LinkedHashSet<>();
            else out = new java.util.ArrayList<>();
            for (Object item : (java.util.List<?>) v) out.add(convert(item, inner[0]));
            return out;
        }
        if (type instanceof java.lang.reflect.GenericArrayType) {
            java.util.List<?> items = (java.util.List<?>) v;
            java.lang.reflect.Type inner = ((java.lang.reflect.GenericArrayType) type).getGenericComponentType();
            Class<?> raw = (Class<?>) ((java.lang.reflect.ParameterizedType) inner).getRawType();
            Object out = java.lang.reflect.Array.newInstance(raw, items.size());
            for (int i = 0; i < items.size(); i++) java.lang.reflect.Array.set(out, i, convert(items.get(i), inner));
            return out;
        }
        if (!(type instanceof Class) || v == null) return loose(v);
        Class<?> c = (Class<?>) type;
        if (c.isArray()) {
            java.util.List<?> items = (java.util.List<?>) v;
            Object out = java.lang.reflect.Array.newInstance(c.getComponentType(), items.size());
            for (int i = 0; i < items.size(); i++)
                java.lang.reflect.Array.set(out, i, convert(items.get(i), c.getComponentType()));
            return out;
        }
        if (v instanceof Double && c == float.class) return ((Double) v).floatValue();
        if ((c == char.class || c == Character.class) && v instanceof String) return ((String) v).charAt(0);
        if (!(v instanceof java.math.BigDecimal)) return v;
        java.math.BigDecimal n = (java.math.BigDecimal) v;
        if (c == int.class || c == Integer.class) return n.intValueExact();
        if (c == long.class || c == Long.class) return n.longValueExact();
        if (c == double.class || c == Double.class) return n.doubleValue();
        if (c == float.class || c == Float.class) return n.floatValue();
        if (c == short.class || c == Short.class) return n.shortValueExact();
        if (c == byte.class || c == Byte.class) return n.byteValueExact();
        if (c == java.math.BigInteger.class) return n.toBigIntegerExact();
        return c == java.math.BigDecimal.class ? n : loose(n);
    }

    /** For parameters that say Object: the type that a literal would have had. */
    static Object loose(Object v) {
        if (v instanceof java.util.List) {
            java.util.List<Object> out = new java.util.ArrayList<>();
            for (Object item : (java.util.List<?>) v) out.add(loose(item));
            return out;
        }
        if (!(v instanceof java.math.BigDecimal)) return v;
        java.math.BigDecimal n = (java.math.BigDecimal) v;
        if (n.scale() > 0) return n.doubleValue();
        return n.toBigInteger().bitLength() < 32 ? (Object) n.intValueExact() : (Object) n.longValue();
    }
}

public class R1Harness {
    static java.lang.reflect.Method find(String[] owners, String name, int count) throws Exception {
        for (String owner : owners)
            for (java.lang.reflect.Method method : Class.forName(owner).getDeclaredMethods())
                if (method.getName().equals(name) && method.getParameterCount() == count) return method;
        throw new NoSuchMethodException(name + " with " + count + " arguments");
    }

    static Object call(String[] owners, String name, java.util.List<?> given) throws Throwable {
        java.lang.reflect.Method method = find(owners, name, given.size());
        method.setAccessible(true);
        java.lang.reflect.Type[] types = method.getGenericParameterTypes();
        Object[] values = new Object[types.length];
        for (int i = 0; i < types.length; i++) values[i] = R1Json.convert(given.get(i), types[i]);
        Object self = null;
        if (!java.lang.reflect.Modifier.isStatic(method.getModifiers())) {
            java.lang.reflect.Constructor<?> made = method.getDeclaringClass().getDeclaredConstructor();
            made.setAccessible(true);
            self = made.newInstance();
        }
        try {
            return method.invoke(self, values);
        } catch (java.lang.reflect.InvocationTargetException error) {
            throw error.getCause();
        }
    }

    public static void main(String[] unused) throws Exception {
        java.io.BufferedReader in = new java.io.BufferedReader(
            new java.io.InputStreamReader(System.in, java.nio.charset.StandardCharsets.UTF_8));
        java.io.PrintStream out = System.out;
        String nonce = in.readLine();
        String line;
        for (int number = 0; (line = in.readLine()) != null; number++) {
            StringBuilder text = new StringBuilder();
            String word = "ok";
            try {
                R1Json.write(text, call(R1_OWNERS, R1_NAME, (java.util.List<?>) new R1Json(line).value()));
            } catch (Throwable error) {
                word = "error";
                text = new StringBuilder();
                String message = String.valueOf(error);
                R1Json.text(text, message.substring(0, Math.min(200, message.length())));
            }
            out.print("\n" + nonce + " " + number + " " + word + " " + text + "\n");
            out.flush();
        }
    }
}
