//! What the compiler says about each mistake, word by word.

#[test]
fn each_mistake_is_told_with_its_fix() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/ok/*.rs");
    cases.compile_fail("tests/ui/*.rs");
}
