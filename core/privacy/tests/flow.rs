//! What must not compile: each file in `tests/flow` is a way to let a secret out.

#[test]
fn no_secret_leaves_by_mistake() {
    trybuild::TestCases::new().compile_fail("tests/flow/*.rs");
}
