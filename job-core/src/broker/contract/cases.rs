//! The list of the suite's cases, and the macro that makes a test of each.

use crate::broker::contract::{Case, Need};

/// Hands the list to a macro: `module::name` for each case, and what it needs.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_list {
    ($then:ident $(, $fixture:expr)?) => {
        $crate::$then! {
            $($fixture;)?
            bench::its_capabilities_are_those_that_the_fixture_tells [];

            delivery::a_published_message_is_delivered_once [];
            delivery::a_message_is_delivered_to_another_process [];
            delivery::every_field_of_an_envelope_survives [];
            delivery::payload_bytes_come_back_untouched [];
            delivery::an_id_is_stored_once_while_it_is_stored [Dedup];
            delivery::an_id_twice_in_one_call_is_stored_once [Dedup];
            delivery::an_id_can_be_stored_again_when_it_is_done [];
            delivery::the_same_id_may_be_stored_in_two_queues [];
            delivery::one_bad_message_of_many_spoils_only_itself [];
            delivery::publishing_nothing_answers_nothing [];
            delivery::next_many_respects_max [];
            delivery::publishing_to_an_undeclared_queue_keeps_the_message [];
            delivery::consuming_an_undeclared_queue_fails [];
            delivery::declare_is_idempotent [];

            delay::a_delayed_publish_is_invisible_until_due [];
            delay::later_is_invisible_until_due [];

            settle::done_stores_its_followers [];
            settle::dead_is_kept_with_reason_and_bytes [];
        }
    };
}

/// Makes one test of each case of the contract, run on a fresh fixture: `contract_tests!(MyFixture::new());`
#[macro_export]
macro_rules! contract_tests {
    ($fixture:expr) => {
        $crate::__contract_list!(__contract_expand, $fixture);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __contract_expand {
    ($fixture:expr; $($module:ident :: $name:ident [$($need:ident),*];)*) => {
        $(
            #[test]
            fn $name() {
                $crate::broker::contract::run(stringify!($name), || $fixture);
            }
        )*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __contract_cases {
    ($($module:ident :: $name:ident [$($need:ident),*];)*) => {
        &[$(Case {
            name: stringify!($name),
            needs: &[$(Need::$need),*],
            run: |bench| Box::pin($crate::broker::contract::$module::$name(bench)),
        }),*]
    };
}

/// Returns all cases.
pub fn cases() -> &'static [Case] {
    __contract_list!(__contract_cases)
}
