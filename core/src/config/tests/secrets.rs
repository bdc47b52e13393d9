//! Variables, and what must not be shown of them.

use super::*;

#[test]
fn a_missing_variable_names_its_key_and_itself() {
    one_fault_where(
        "secret-pw",
        "${NOT_SET}",
        "etc/tahr.toml:3: sources.shop.url: environment variable NOT_SET is not set",
    );
    one_fault_where(
        "secret-pw",
        "${file:nope}",
        "sources.shop.url: file nope of ${file:nope} is not readable",
    );
    one_fault_where(
        "secret-pw",
        "a$b",
        "hint: write ${NAME} for a variable, $$ for a dollar sign",
    );
    one_fault(
        "[targets.cache.options]\na = { b = [\"${NOPE}\"] }",
        "targets.cache.options.a.b[0]: environment variable NOPE is not set",
    );
}

#[test]
fn a_variable_can_not_become_a_key() {
    let config = parse(&SMALLEST.replace("secret-pw", "${PW}")).unwrap();
    assert_eq!(config.engine.name, "tahr");
    assert!(config.sources["shop"].url.contains("injected"));
}

#[test]
fn a_variable_that_does_not_fit_is_not_shown() {
    let shown = faults(&format!(
        "{SMALLEST}existing = \"${{PW}}\"\nmax_batch_bytes = \"${{PW}}\""
    ));
    assert!(
        shown.contains("found the string \"${PW}\"") && !shown.contains("injected"),
        "{shown}"
    );
}

#[test]
fn syntax_errors_show_place_and_line_but_no_password() {
    let shown = faults("[sources.shop]\nurl = \"postgres://me:secret-pw@db1/shop\nredo = =\n");
    assert!(shown.contains("error: etc/tahr.toml:2:"), "{shown}");
    assert!(
        shown.contains("2 | url = \"postgres://me:***@db1/shop"),
        "{shown}"
    );
    assert!(shown.contains("3 | redo = ="), "{shown}");
    assert!(!shown.contains("secret-pw"), "{shown}");
    let twice = faults("[engine]\nname = \"a\"\nname = \"b\"\n");
    assert!(
        twice.contains("etc/tahr.toml:3:1: not TOML: duplicate key"),
        "{twice}"
    );
}

#[test]
fn no_password_is_in_debug_output() {
    let text = SMALLEST.replace(
        "plugin = \"redis\"",
        "plugin = \"redis\"\noptions.password = \"hidden-pw\"",
    );
    let config = parse(&text).unwrap();
    let shown = format!("{config:?} {config:#?}");
    assert!(
        !shown.contains("secret-pw") && !shown.contains("hidden-pw"),
        "{shown}"
    );
    assert!(
        shown.contains("postgres://tahr:***@db1/shop") && shown.contains("password"),
        "{shown}"
    );
}
