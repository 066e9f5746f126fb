// Runs a test program, which stands below, whose function under test is a stub. Standard input: the
// nonce; then, two lines a call, its arguments and "ok" or "error" with the result. A call that is
// not among them is told on standard output; from then on no assertion can fail, so that one run
// tells as many calls as it can. The last line says that the program came to its end,
// the one before it may say that no assertion was reached ("idle").
class R1Tester {
    static String nonce;
    static final java.util.Map<String, String> known = new java.util.HashMap<>();
    static final java.util.Set<String> unknown = new java.util.HashSet<>();

    static void say(String text) {
        System.out.print("\n" + nonce + " " + text + "\n");
        System.out.flush();
    }

    static int checks = R1_CHECKS;

    static void check(boolean holds) {
        checks++;
        if (!holds && unknown.isEmpty()) throw new AssertionError();
    }

    static boolean hasLost = false;

    static void lost(Throwable error) {  // heard by a handler that does no more than print
        hasLost |= error instanceof AssertionError;
    }

    static Object call(Class<?> owner, Object... given) {
        StringBuilder text = new StringBuilder();
        R1Json.write(text, java.util.Arrays.asList(given));
        java.lang.reflect.Method stub = null;
        for (java.lang.reflect.Method method : owner.getDeclaredMethods())
            if (method.getName().equals(R1_NAME)) stub = method;
        String call = text.toString();
        String found = known.get(call);
        if (found == null) {
            if (unknown.add(call)) say("call " + call);
            Class<?> type = stub.getReturnType();
            return type.isPrimitive() ? java.lang.reflect.Array.get(java.lang.reflect.Array.newInstance(type, 1), 0) : null;
        }
        if (!found.startsWith("ok ")) throw new RuntimeException(found);
        return R1Json.convert(new R1Json(found.substring(3)).value(), stub.getGenericReturnType());
    }

    public static void main(String[] unused) throws Throwable {
        java.io.BufferedReader in = new java.io.BufferedReader(
            new java.io.InputStreamReader(System.in, java.nio.charset.StandardCharsets.UTF_8));
        nonce = in.readLine();
        String call;
        while ((call = in.readLine()) != null) known.put(call, in.readLine());
        java.lang.reflect.Method tests = Class.forName(R1_MAIN).getDeclaredMethod("main", String[].class);
        tests.setAccessible(true);
        try {
            tests.invoke(null, (Object) new String[0]);
        } catch (java.lang.reflect.InvocationTargetException error) {
            throw error.getCause();
        }
        if (hasLost) System.exit(1);
        if (checks == 0) say("idle");
        say("done");
    }
}
