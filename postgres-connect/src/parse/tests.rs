use std::time::Duration;

use super::parse;
use crate::{Host, SslMode, Url, UrlError};

fn read(text: &str) -> Result<Url, UrlError> {
    parse(text, &|_| None)
}

#[test]
fn every_part_is_read_and_decoded() {
    let url = read("postgresql://us%40er:p%3Aw%2F@h.example:6000/my%20db?application_name=x%26y")
        .unwrap();
    assert_eq!(url.user(), "us@er");
    assert_eq!(url.password.as_deref(), Some("p:w/"));
    assert_eq!(url.host(), &Host::Tcp("h.example".to_owned()));
    assert_eq!((url.port(), url.database()), (6000, "my db"));
    assert_eq!(url.application_name.as_deref(), Some("x&y"));
    assert_eq!(url.ssl_mode(), SslMode::Prefer);
    assert_eq!(url.to_string(), "postgres://us%40er@h.example:6000/my%20db");
}

#[test]
fn a_raw_at_or_colon_in_the_password_is_part_of_it() {
    assert_eq!(
        read("postgres://u:a@b:c@h/d").unwrap().password.as_deref(),
        Some("a@b:c")
    );
}

#[test]
fn what_is_left_out_has_a_default() {
    let url = read("postgres://u@h").unwrap();
    assert_eq!(
        (url.port(), url.database(), url.password.as_deref()),
        (5432, "u", None)
    );
    assert_eq!(url.connect_timeout(), Duration::from_secs(10));
    assert!(matches!(read("postgres://h/d"), Err(UrlError::NoUser)));
}

#[test]
fn the_environment_fills_user_and_password_only_where_the_url_has_none() {
    let environment = |name: &str| match name {
        "PGUSER" => Some("eve".to_owned()),
        "PGPASSWORD" => Some("env".to_owned()),
        _ => None,
    };
    let url = parse("postgres://h/d", &environment).unwrap();
    assert_eq!((url.user(), url.password.as_deref()), ("eve", Some("env")));
    let url = parse("postgres://u:own@h/d", &environment).unwrap();
    assert_eq!((url.user(), url.password.as_deref()), ("u", Some("own")));
}

#[test]
fn addresses_of_all_kinds_are_understood() {
    let host = |text: &str| read(text).map(|url| (url.host().clone(), url.port()));
    let tcp = |name: &str| Host::Tcp(name.to_owned());
    assert_eq!(host("postgres://u@[::1]:99/d").unwrap(), (tcp("::1"), 99));
    assert_eq!(
        host("postgres://u@[fe80::2]/d").unwrap(),
        (tcp("fe80::2"), 5432)
    );
    assert_eq!(host("postgres://u@h:/d").unwrap(), (tcp("h"), 5432));
    let socket = (Host::Socket("/run/pg".into()), 7);
    assert_eq!(host("postgres://u@%2Frun%2Fpg:7/d").unwrap(), socket);
    assert_eq!(host("postgres://u@:7/d?host=/run/pg").unwrap(), socket);
    assert!(matches!(
        host("postgres://u@a,b/d"),
        Err(UrlError::SeveralHosts)
    ));
    assert!(matches!(
        host("postgres://u@a:1,b:2/d"),
        Err(UrlError::SeveralHosts)
    ));
    for wrong in ["[::1", "[::1]x", "h:99999", "h:0", "h:x"] {
        assert!(
            matches!(
                host(&format!("postgres://u@{wrong}/d")),
                Err(UrlError::Address)
            ),
            "{wrong}"
        );
    }
}

#[test]
fn ssl_modes_mean_what_they_mean_to_libpq() {
    let mode =
        |parameters: &str| read(&format!("postgres://u@h/d?{parameters}")).map(|u| u.ssl.mode);
    assert_eq!(mode("sslmode=disable").unwrap(), SslMode::Disable);
    assert_eq!(mode("sslmode=allow").unwrap(), SslMode::Prefer);
    assert_eq!(mode("sslmode=require").unwrap(), SslMode::Require);
    assert_eq!(
        mode("sslmode=require&sslrootcert=/x").unwrap(),
        SslMode::VerifyCa
    );
    assert_eq!(
        mode("sslmode=verify-ca&sslrootcert=/x").unwrap(),
        SslMode::VerifyCa
    );
    assert_eq!(
        mode("sslmode=verify-full&sslrootcert=/x").unwrap(),
        SslMode::VerifyFull
    );
    assert!(matches!(mode("sslmode=on"), Err(UrlError::Value { .. })));
    assert!(matches!(
        mode("sslmode=require&sslrootcert=system"),
        Err(UrlError::WeakSystemRoots)
    ));
    assert!(matches!(
        mode("sslcert=/x"),
        Err(UrlError::Alone {
            missing: "sslkey",
            ..
        })
    ));
    let socket = |mode: &str| read(&format!("postgres://u@%2Frun/d?sslmode={mode}"));
    assert_eq!(socket("prefer").unwrap().ssl.mode, SslMode::Disable);
    assert!(matches!(socket("require"), Err(UrlError::SslOverSocket)));
}

#[test]
fn an_unknown_parameter_is_named() {
    let error = read("postgres://u@h/d?sslmodus=require").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown parameter \"sslmodus\" in the URL"
    );
    assert!(!error.hint().is_empty());
}

#[test]
fn no_message_holds_the_password() {
    let url = read("postgres://u:secret@h/d").unwrap();
    assert!(!format!("{url} {url:?} {}", url.redacted()).contains("secret"));
    for broken in [
        "postgres://u:sec/secret@h/d",
        "postgres://u:sec?secret@h/d",
        "postgres://u:sec?secret@h=x/d",
        "postgres://u:secret%zz@h/d",
        "postgres://u:secret@[h/d",
        "mysql://u:secret@h/d",
        "secret",
    ] {
        let error = read(broken).unwrap_err();
        assert!(
            !format!("{error} {error:?} {}", error.hint()).contains("secret"),
            "{broken}"
        );
    }
}

#[test]
fn percent_signs_must_be_whole() {
    for wrong in ["%", "%4", "%zz", "%00", "%ff"] {
        let error = read(&format!("postgres://u{wrong}@h/d")).unwrap_err();
        assert!(
            matches!(error, UrlError::Encoding { part: "user" }),
            "{wrong}: {error}"
        );
    }
}

#[test]
fn keepalives_and_timeouts_are_accepted() {
    let url = read(
        "postgres://u@h/d?keepalives=0&keepalives_idle=5&keepalives_interval=6&keepalives_count=7\
         &connect_timeout=3&options=-c%20a%3Db",
    )
    .unwrap();
    assert!(!url.keepalives.enabled);
    assert_eq!(url.keepalives.count, 7);
    assert_eq!(url.connect_timeout(), Duration::from_secs(3));
    assert_eq!(url.options.as_deref(), Some("-c a=b"));
}
