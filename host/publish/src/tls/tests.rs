//! What makes an identity, and what does not.

use super::*;

fn made(until: i64) -> SelfMade {
    SelfMade::new(&["trimtab.prod.svc".to_owned()], 1_000_000_000, until).unwrap()
}

#[test]
fn a_certificate_says_until_when_it_is_valid() {
    assert_eq!(
        until_seconds(&made(1_893_456_000).certificate).unwrap(),
        1_893_456_000
    );
    let wrong = until_seconds("nothing").unwrap_err().to_string();
    assert!(wrong.starts_with("certificate: "), "{wrong}");
}

#[test]
fn what_is_no_identity_is_refused_and_says_which_part() {
    let made = made(1_893_456_000);
    let good = Identity {
        certificates: made.certificate,
        key: made.key,
        clients: Clients::Required(made.ca),
    };
    assert!(Tls::new(&good).is_ok());
    let told = |identity: &Identity| Tls::new(identity).unwrap_err().to_string();
    let empty = Identity {
        certificates: String::new(),
        ..good.clone()
    };
    assert_eq!(told(&empty), "certificate: none is in it");
    let odd = Identity {
        key: "key".to_owned(),
        ..good.clone()
    };
    assert!(told(&odd).starts_with("key: "), "{}", told(&odd));
    let untrusted = Identity {
        clients: Clients::Required(" ".to_owned()),
        ..good
    };
    assert_eq!(told(&untrusted), "clients' CA: none is in it");
}
