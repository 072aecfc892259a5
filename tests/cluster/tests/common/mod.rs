//! What tests of a real cluster have in common.

#![expect(clippy::print_stdout, reason = "tests say what they leave out")]

/// Whether a test has to be left out because there is no Java, which it then says. In continuous integration there is.
pub(crate) fn is_left_out(test: &str) -> bool {
    if fluss_cluster::has_java() {
        return false;
    }
    assert!(std::env::var_os("CI").is_none(), "{test} needs Java");
    println!("left out: {test}: there is no Java");
    true
}
