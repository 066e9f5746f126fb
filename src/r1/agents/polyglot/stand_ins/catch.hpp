// A small part of Catch2's first header, for tests that have no sections: TEST_CASE, REQUIRE,
// CHECK and their kin. The secret on standard input signs the last line: secret, passed, failed,
// skipped. Left out: sections, matchers, generators, the command line.
#pragma once
#pragma GCC system_header
#include <cmath>
#include <exception>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace Catch {

struct TestOfFile {
    const char *name;
    void (*run)();
};

inline std::vector<TestOfFile> &tests() {
    static std::vector<TestOfFile> all;
    return all;
}

struct Registrar {
    Registrar(const char *name, void (*run)()) { tests().push_back({name, run}); }
};

struct Stop : std::exception {};

inline int &failures() {
    static int number = 0;
    return number;
}

inline void check(bool holds, const char *text, const char *file, int line, bool stops) {
    if (holds) return;
    ++failures();
    std::cerr << file << ":" << line << ": FAILED: " << text << "\n";
    if (stops) throw Stop();
}

class Approx {
    double value_, epsilon_ = 1.1920929e-5, margin_ = 0.0;

   public:
    explicit Approx(double value) : value_(value) {}
    Approx &epsilon(double e) { epsilon_ = e; return *this; }
    Approx &margin(double m) { margin_ = m; return *this; }
    bool equals(double other) const {
        double gap = std::fabs(other - value_);
        return gap <= margin_ || gap <= epsilon_ * std::fabs(value_);
    }
    friend bool operator==(double a, const Approx &b) { return b.equals(a); }
    friend bool operator==(const Approx &a, double b) { return a.equals(b); }
    friend bool operator!=(double a, const Approx &b) { return !b.equals(a); }
};

}  // namespace Catch

using Catch::Approx;

#define R1_JOIN2(a, b) a##b
#define R1_JOIN(a, b) R1_JOIN2(a, b)
#define R1_CASE(function, ...)                                                     \
    static void function();                                                        \
    static Catch::Registrar R1_JOIN(function, _known)(R1_FIRST(__VA_ARGS__, ""), function); \
    static void function()
#define R1_FIRST(first, ...) first
#define TEST_CASE(...) R1_CASE(R1_JOIN(r1_test_, __COUNTER__), __VA_ARGS__)

#define R1_CHECK(holds, text, stops) Catch::check(holds, text, __FILE__, __LINE__, stops)
#define REQUIRE(...) R1_CHECK(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, true)
#define CHECK(...) R1_CHECK(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, false)
#define REQUIRE_FALSE(...) R1_CHECK(!static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, true)
#define CHECK_FALSE(...) R1_CHECK(!static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, false)
#define R1_THROWS(expression, type, stops)                                      \
    do {                                                                        \
        bool threw = false;                                                     \
        try { static_cast<void>(expression); } catch (type) { threw = true; }   \
        R1_CHECK(threw, #expression " throws " #type, stops);                   \
    } while (false)
#define REQUIRE_THROWS_AS(expression, type) R1_THROWS(expression, const type &, true)
#define CHECK_THROWS_AS(expression, type) R1_THROWS(expression, const type &, false)
#define REQUIRE_THROWS(expression) R1_THROWS(expression, ..., true)
#define CHECK_THROWS(expression) R1_THROWS(expression, ..., false)
#define REQUIRE_NOTHROW(expression) static_cast<void>(expression)
#define CHECK_NOTHROW(expression) static_cast<void>(expression)

#ifdef CATCH_CONFIG_MAIN
#include <unistd.h>
// Before any constructor of the solution: they run before main.
static char r1_secret[64];
static void r1_take_secret() {
    for (unsigned held = 0; held < sizeof r1_secret - 1; ++held)
        if (read(0, r1_secret + held, 1) != 1 || r1_secret[held] == '\n') {
            r1_secret[held] = 0;
            break;
        }
    close(0);
}
__attribute__((section(".preinit_array"), used)) static void (*r1_first)() = r1_take_secret;
int main() {
    const std::string secret = r1_secret;
    int passed = 0, failed = 0;
    for (const auto &test : Catch::tests()) {
        int before = Catch::failures();
        try {
            test.run();
        } catch (const Catch::Stop &) {
        } catch (const std::exception &fault) {
            ++Catch::failures();
            std::cerr << test.name << ": unexpected exception: " << fault.what() << "\n";
        } catch (...) {
            ++Catch::failures();
            std::cerr << test.name << ": unexpected exception\n";
        }
        (Catch::failures() == before ? passed : failed) += 1;
    }
    std::cout << "\n" << secret << " " << passed << " " << failed << " 0" << std::endl;
    _exit(failed ? 1 : 0);
}
#endif
