// Runs the test program that stands below, whose function under test is a stub. Standard input: the
// nonce; then, two lines a call, its arguments and "ok" or "error" with the result. A call that is
// not among them is told on standard output; from then on nothing can fail, so that one run tells
// as many calls as it can. The last line says that the program came to its end,
// the one before it may say that no assertion was reached ("idle").
final class R1 {
    public static $nonce;
    public static $known = [];
    public static $unknown = [];
    public static $checks = R1_CHECKS;

    public static function open() {
        ini_set("serialize_precision", "-1");
        $lines = explode("\n", stream_get_contents(STDIN));
        self::$nonce = array_shift($lines);
        for ($i = 0; $i + 1 < count($lines); $i += 2) self::$known[$lines[$i]] = $lines[$i + 1];
        set_error_handler(function ($level, $message) { return count(self::$unknown) > 0; });
    }

    public static function call($args) {
        $call = json_encode($args, JSON_PRESERVE_ZERO_FRACTION);
        if (!array_key_exists($call, self::$known)) {
            if (!array_key_exists($call, self::$unknown)) self::say("call $call");
            self::$unknown[$call] = true;
            return null;
        }
        [$word, $text] = explode(" ", self::$known[$call], 2);
        if ($word !== "ok") throw new Exception($text);
        if ($text === "NaN") return NAN;
        if ($text === "Infinity" || $text === "-Infinity") return $text === "Infinity" ? INF : -INF;
        return json_decode($text, true);
    }

    private static $failed = null;
    private static $lost = false;

    public static function fail($error) {
        self::$failed = $error;
        if (count(self::$unknown) === 0) throw $error;
    }

    public static function lost($error) {  // heard by a handler that does no more than print
        self::$lost = self::$lost || $error === self::$failed;
    }

    public static function check($holds) {
        self::$checks++;
        if (!$holds) self::fail(new Exception("assertion failed"));
    }

    public static function done() {
        if (self::$lost) exit(1);
        if (!self::$checks) self::say("idle");
        self::say("done");
    }

    public static function say($text) {
        echo "\n" . self::$nonce . " $text\n";
    }
}
R1::open();
