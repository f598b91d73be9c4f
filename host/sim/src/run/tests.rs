use crate::testing::{poisson, run_fixed, simple};

#[test]
fn all_that_arrives_is_served_where_there_is_room() {
    let spec = simple(600.0, 2, poisson(1, 10.0, 600.0, 1000, 200));
    let outcome = run_fixed(&spec, &[&[2]]);
    assert_eq!(outcome.requests.served, outcome.requests.arrived);
    assert!((outcome.cost - 2.0 * 4.0 / 6.0).abs() < 1e-9);
}
