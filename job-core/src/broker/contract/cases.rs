//! The list of the suite's cases, and the macro that makes a test of each.

use std::future::Future;
use std::pin::Pin;

use crate::broker::contract::bench::Bench;
use crate::broker::contract::fixture::Need;

/// One case of the suite.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The fact that it checks.
    pub name: &'static str,
    pub(super) needs: &'static [Need],
    pub(super) run: fn(Bench) -> Pin<Box<dyn Future<Output = ()>>>,
}

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
            delay::later_puts_its_instant_into_the_envelope [];
            delay::a_later_that_is_due_comes_at_once [];
            delay::a_delay_ends_at_its_instant [ManualClock];
            delay::a_delay_that_has_passed_is_none [];
            delay::a_producer_whose_clock_is_ahead_delays_nothing [];
            delay::only_can_be_delayed_too [];
            delay::a_delayed_follower_is_invisible_until_due [];
            delay::a_delay_outlives_its_process [];
            delay::the_longest_delay_is_kept [];
            delay::a_delayed_id_is_held [Dedup];
            delay::an_event_cannot_be_delayed [];
            delay::messages_come_by_due_time [Order];
            delay::messages_of_one_instant_come_in_the_order_of_publishing [Order];
            delay::a_later_takes_its_place_by_its_instant [Order];
            delay::a_release_keeps_its_place [Order];

            settle::done_stores_its_followers [];
            settle::dead_is_kept_with_reason_and_bytes [];
            settle::a_follower_can_be_an_event [];
            settle::a_follower_may_have_the_id_of_what_it_follows [];
            settle::a_bad_follower_gives_the_job_back [];
            settle::a_released_delivery_comes_back_unchanged [];
            settle::each_of_many_deliveries_is_settled_by_itself [];
            settle::a_dead_message_can_be_redriven [];
            settle::a_job_that_dies_again_while_it_is_redriven_is_kept [];
            settle::the_latest_death_of_an_id_is_kept [Dedup];
            settle::a_job_that_dies_in_the_dead_queue_stays_there [];
            settle::a_settled_future_dropped_still_settles [];

            route::a_topic_event_reaches_each_bound_queue_once [];
            route::a_topic_key_may_be_empty [];
            route::a_direct_event_reaches_equal_keys_only [];
            route::a_headers_event_reaches_those_that_match [];
            route::a_fanout_event_reaches_all_of_its_name [];
            route::a_foreign_exchange_is_a_namespace_of_its_own [AnyExchange];
            route::an_unheard_event_is_gone [];
            route::an_event_that_must_reach_a_queue_is_refused_when_none_takes_it [];
            route::a_message_to_a_queue_is_no_event [];
            route::each_copy_lives_by_itself [];
            route::a_binding_declared_twice_gives_one_copy [];
            route::a_binding_is_never_removed_by_declaring_less [];

            lifetime::a_queue_of_a_process_is_gone_when_it_closes [ProcessQueues];
            lifetime::a_queue_of_a_process_is_gone_when_it_dies [ProcessQueues];
            lifetime::a_queue_of_a_process_is_nobody_else_s [ProcessQueues];
            lifetime::what_a_queue_of_a_process_gives_back_comes_again [ProcessQueues];
            lifetime::nothing_of_a_queue_of_a_process_is_kept_beyond_its_run [ProcessQueues];
            lifetime::a_durable_queue_is_no_queue_of_a_process [ProcessQueues];
            lifetime::an_undeclared_queue_hears_nothing_and_keeps_what_it_has [Undeclare];
            lifetime::an_undeclared_queue_of_a_process_is_gone [Undeclare, ProcessQueues];
            lifetime::bindings_come_and_go_in_the_sight_of_every_process [Undeclare];

            wake::a_publish_wakes_a_waiting_consumer [];
            wake::a_publish_of_another_process_wakes [];
            wake::the_end_of_a_delay_wakes [];
            wake::the_end_of_a_delay_that_came_while_waiting_wakes [];
            wake::a_publish_wakes_one_that_waits_for_a_delay [];
            wake::a_release_wakes_a_waiting_consumer [];
            wake::a_later_wakes_a_waiting_consumer [];
            wake::a_death_wakes_a_waiting_consumer [];
            wake::ready_waits_and_takes_nothing [];
            wake::next_many_returns_at_once_when_ready [];
            wake::a_ready_consumer_that_is_dropped_gives_back [];
            wake::cancelling_next_many_loses_nothing [];

            process::a_delivery_taken_by_one_process_is_not_taken_by_another [];
            process::a_long_running_delivery_is_not_given_away [];
            process::a_handed_out_delivery_outlives_its_consumer [];
            process::a_closed_consumer_gives_back_what_it_held [];
            process::a_dropped_consumer_gives_back_what_it_held [];
            process::a_dead_process_gives_back_its_deliveries_counted [];
            process::a_retry_starts_with_no_redeliveries [];
            process::a_death_gives_back_nothing_that_was_settled [];
            process::settling_a_lost_delivery_says_so_and_changes_nothing [];
            process::settling_what_waits_again_is_lost_too [];
            process::what_is_stored_outlives_every_process [];
            process::competing_consumers_share_without_overlap [];
            process::competing_producers_of_one_id_store_it_once [Dedup];

            leadership::a_role_has_one_leader [];
            leadership::roles_are_led_one_by_one [];
            leadership::a_role_that_was_given_up_is_free [];
            leadership::a_closed_process_gives_up_its_roles [];
            leadership::a_dead_leader_is_followed [];
            leadership::a_tick_fires_once [];
            leadership::a_successor_is_told_which_tick_was_fired_last [];
            leadership::an_earlier_tick_is_stale [];
            leadership::schedules_tick_one_by_one [];
            leadership::a_late_fire_of_a_finished_tick_is_stale [FireExact];
            leadership::a_bad_message_uses_up_no_tick [];

            ledger::an_entry_is_read_by_every_process [];
            ledger::entries_are_read_in_the_order_of_their_keys [];
            ledger::the_highest_version_of_a_key_wins [];
            ledger::versions_are_as_large_as_time_in_nanoseconds [];
            ledger::an_equal_version_changes_nothing [];
            ledger::null_removes_a_key [];
            ledger::a_change_wakes_every_process [];
            ledger::a_change_between_reading_and_waiting_is_not_missed [];
            ledger::what_was_read_is_no_change [];
            ledger::handles_of_one_process_read_by_themselves [];
            ledger::the_ledger_outlives_every_process [];

            inspect::queues_are_listed_by_name_with_their_dead [Counts];
            inspect::queues_are_counted_by_state [Counts];
            inspect::what_is_not_due_is_counted_over_all_queues [];
            inspect::the_oldest_ready_waits_since_it_was_due [Counts];
            inspect::peek_shows_what_waits_and_takes_nothing [Counts];
            inspect::peek_turns_pages [Counts, Order];
            inspect::an_unknown_queue_has_nothing_to_show [Counts];
            inspect::a_waiting_job_is_cancelled_by_its_id [Cancel];
            inspect::a_delayed_job_is_cancelled_by_its_id [Cancel];
            inspect::a_taken_delayed_job_that_is_released_is_not_early [Cancel];
            inspect::a_running_job_cannot_be_taken [Cancel];
            inspect::an_id_is_taken_from_its_own_queue_only [Cancel];
            inspect::the_first_are_taken_in_order [Cancel, Order];
            inspect::a_dead_operator_gives_back_what_it_took [Cancel];
            inspect::a_job_is_found_in_each_of_its_states [Find, Cancel];

            close::a_closed_broker_refuses [];
            close::the_consumers_of_a_closed_broker_end [];
            close::a_closed_broker_gives_back_what_was_not_settled [];
            close::the_others_go_on_when_one_closes [];

            storm::a_storm_loses_nothing_and_finishes_nothing_twice [ManualClock];
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
