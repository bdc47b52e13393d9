//! The types' rules, told to people: asked of the function that makes the columns.

use tahr_plugin_api::{Column, Rule, RuleTable, Unfit, ValueKind};

use crate::types::{Form, Limit, Type, made, oid};

/// The rule of a column, for people.
pub(crate) fn rule(column: &Column, unfit: Unfit) -> Rule {
    let Type {
        declared,
        form,
        limit,
        ..
    } = made(column, None, unfit);
    let rule = Rule::exact(declared);
    let is_text = form == Form::Text;
    match (column.kind, form) {
        (_, Form::Bool) => rule.form("0 or 1"),
        (ValueKind::Decimal, Form::Number) => rule.except("NaN"),
        (_, Form::Float | Form::Double) => rule.except("-0 becomes 0"),
        (_, Form::Bytes) => rule.except(EMPTY),
        (_, Form::Date) => rule.form("at midnight").except(DATES),
        (_, Form::Timestamp) => rule.except(DATES),
        (_, Form::TimestampTz) => rule.form("in UTC").except(DATES),
        (ValueKind::Text, _) => rule.except(EMPTY),
        (ValueKind::Other, _) if is_text && column.type_oid == oid::VARBIT => rule.except(EMPTY),
        (_, _) if limit != Limit::None => rule
            .form("PostgreSQL's text")
            .except("more than 4,000 characters"),
        (_, _) if is_text => rule.form("PostgreSQL's text"),
        _ => rule,
    }
}

const EMPTY: &str = "the empty one, which is NULL in Oracle (`empty_text` decides)";

const DATES: &str = "infinity, before 4712 BC, after 9999, and the days that Oracle's calendar has \
    not (1582-10-05 to 14, a 29th of February BC)";

/// Every type's rule, under each setting that matters.
pub(crate) fn rules() -> Vec<RuleTable> {
    [
        ("unfit = \"error\", \"null\" or \"clamp\"", Unfit::Error),
        ("unfit = \"text\"", Unfit::Text),
    ]
    .map(|(setting, unfit)| RuleTable::of(setting, |column| rule(column, unfit)))
    .into()
}
