// Runs a test program, which stands below, whose function under test is a stub. Standard input: the
// nonce; then, two lines a call, its arguments and "ok" or "error" with the result. A call that is
// not among them is told on standard output; from then on no assertion can fail, so that one run
// tells as many calls as it can. The last line says that the program came to its end,
// the one before it may say that no assertion was reached ("idle").
class R1Tester {
    static string nonce;
    static readonly System.Collections.Generic.Dictionary<string, string> known
        = new System.Collections.Generic.Dictionary<string, string>();
    static readonly System.Collections.Generic.HashSet<string> unknown
        = new System.Collections.Generic.HashSet<string>();
    const System.Reflection.BindingFlags All = System.Reflection.BindingFlags.Public
        | System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Static
        | System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.DeclaredOnly;

    static void Say(string text) {
        System.Console.Out.Write("\n" + nonce + " " + text + "\n");
        System.Console.Out.Flush();
    }

    static int checks = R1_CHECKS;

    public static void Check(bool holds, params object[] unused) {
        checks++;
        if (!holds && unknown.Count == 0) throw failed = new System.Exception("an assertion fails");
    }

    static System.Exception failed;
    static bool hasLost;

    public static void Lost(System.Exception error) {  // heard by a handler that does no more than print
        hasLost |= failed != null && error == failed;
    }

    public static object Call(System.Type owner, params object[] given) {
        var text = new System.Text.StringBuilder();
        R1Json.Write(text, given);
        string call = text.ToString(), found;
        System.Type type = null;
        foreach (var method in owner.GetMethods(All)) if (method.Name == R1_NAME) type = method.ReturnType;
        if (!known.TryGetValue(call, out found)) {
            if (unknown.Add(call)) Say("call " + call);
            return type.IsValueType ? System.Activator.CreateInstance(type) : null;
        }
        if (!found.StartsWith("ok ")) throw new System.Exception(found);
        return R1Json.Convert(new R1Json(found.Substring(3)).Value(), type);
    }

    static int Main() {
        var input = new System.IO.StreamReader(
            System.Console.OpenStandardInput(), new System.Text.UTF8Encoding(false));
        nonce = input.ReadLine();
        string call;
        while ((call = input.ReadLine()) != null) known[call] = input.ReadLine();
        System.Reflection.MethodInfo tests = null;
        foreach (var type in typeof(R1Tester).Assembly.GetTypes())
            tests = tests ?? type.GetMethod("R1TestsMain", All);
        object status = tests.Invoke(null, tests.GetParameters().Length == 0 ? null : new object[] { new string[0] });
        if (status is int && (int)status != 0) return (int)status;
        if (hasLost) return 1;
        if (checks == 0) Say("idle");
        Say("done");
        return 0;
    }
}
