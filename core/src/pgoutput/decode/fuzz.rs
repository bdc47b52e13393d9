//! Changed messages, and ones nobody meant.

use tahr_plugin_api::testing::fuzz;

use super::{samples::every_message, torture::read_through};

#[test]
fn no_message_of_a_stream_makes_the_decoder_panic() {
    fuzz("pgoutput", &every_message(), read_through);
}
