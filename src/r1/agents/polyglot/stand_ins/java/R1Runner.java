import java.lang.annotation.Annotation;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Scanner;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Runs the tests of the classes named: all methods with @Test, disabled or not. The secret on
 * standard input signs the last line: secret, passed, failed, skipped.
 */
public final class R1Runner {
    public static void main(String[] names) throws Exception {
        String secret = new Scanner(System.in).nextLine().trim();
        java.io.PrintStream out = System.out;
        System.in.close();
        int passed = 0, failed = 0;
        for (String name : names) {
            Class<?> type = Class.forName(name);
            call(type, null, BeforeAll.class);
            for (Method method : type.getDeclaredMethods()) {
                if (!method.isAnnotationPresent(Test.class)) continue;
                try {
                    one(type, method);
                    passed++;
                } catch (Throwable thrown) {
                    Throwable cause = thrown instanceof InvocationTargetException ? thrown.getCause() : thrown;
                    failed++;
                    System.err.println("FAILED " + name + "." + method.getName() + ": " + cause);
                }
            }
        }
        out.println();
        out.println(secret + " " + passed + " " + failed + " 0");
        out.flush();
        Runtime.getRuntime().halt(failed > 0 ? 1 : 0);
    }

    private static void one(Class<?> type, Method method) throws Exception {
        var constructor = type.getDeclaredConstructor();
        constructor.setAccessible(true);
        Object tests = constructor.newInstance();
        call(type, tests, BeforeEach.class);
        method.setAccessible(true);
        try {
            method.invoke(tests);
        } finally {
            call(type, tests, AfterEach.class);
        }
    }

    private static void call(Class<?> type, Object tests, Class<? extends Annotation> kind) throws Exception {
        for (Method method : type.getDeclaredMethods()) {
            if (!method.isAnnotationPresent(kind)) continue;
            method.setAccessible(true);
            method.invoke(tests);
        }
    }
}
