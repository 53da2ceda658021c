//! Tests of both ends of SCRAM against each other and against RFC 7677's example.

use std::sync::Arc;

use proptest::prelude::*;

use super::client::*;
use super::server::*;
use super::*;

fn verifier(password: &str) -> ScramVerifier {
    ScramVerifier::of_password(password, b"0123456789abcdef", 8)
}

fn start(verifier: ScramVerifier, end_point: Option<&[u8]>) -> ServerStart {
    ServerStart { verifier, doomed: false, end_point: end_point.map(Arc::from), nonce: "server".into() }
}

/// Runs an exchange; the keys if both ends are content.
fn exchange(
    server: ServerStart,
    binding: ClientBinding,
    secret: &ClientSecret,
) -> Result<ScramKeys, ScramError> {
    let client = ClientStart::new(binding.clone(), "client".into());
    let (challenge, proof) = server.client_first(binding.mechanism(), client.first().as_bytes())?;
    let (answer, check) = client.challenge(challenge.as_bytes(), secret).unwrap();
    let (last, keys) = proof.client_final(answer.as_bytes())?;
    check.server_final(last.as_bytes()).unwrap();
    Ok(keys)
}

fn password(text: &str) -> ClientSecret {
    ClientSecret::Password(Zeroizing::new(text.into()))
}

#[test]
fn the_example_of_rfc_7677() {
    let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let server = ServerStart {
        verifier: ScramVerifier::of_password("pencil", &salt, 4096),
        doomed: false,
        end_point: None,
        nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".into(),
    };
    let (first, proof) = server.client_first(SHA_256, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
    assert_eq!(
        first,
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let last =
        format!("c=biws,{},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", first.split(',').next().unwrap());
    let (answer, _) = proof.client_final(last.as_bytes()).unwrap();
    assert_eq!(answer, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[test]
fn recovered_keys_log_in_without_the_password() {
    let keys = exchange(start(verifier("pw"), None), ClientBinding::Unsupported, &password("pw")).unwrap();
    let keys = ClientSecret::Keys(keys);
    exchange(start(verifier("pw"), None), ClientBinding::Unsupported, &keys).unwrap();
    // A changed password has another salt; that is said, not sent as a wrong proof.
    let changed = ScramVerifier::of_password("pw", b"another salt....", 8);
    let client = ClientStart::new(ClientBinding::Unsupported, "client".into());
    let (challenge, _) = start(changed, None).client_first(SHA_256, client.first().as_bytes()).unwrap();
    assert_eq!(
        client.challenge(challenge.as_bytes(), &keys).map(|_| ()),
        Err(ScramClientError::VerifierChanged)
    );
}

#[test]
fn wrong_passwords_and_doomed_exchanges_look_alike() {
    let wrong = exchange(start(verifier("pw"), None), ClientBinding::Unsupported, &password("PW"));
    assert_eq!(wrong.map(|_| ()), Err(ScramError::WrongProof));
    let doomed = ServerStart { doomed: true, ..start(verifier("pw"), None) };
    let right = exchange(doomed, ClientBinding::Unsupported, &password("pw"));
    assert_eq!(right.map(|_| ()), Err(ScramError::WrongProof));
}

#[test]
fn channel_binding() {
    let run = |offered: Option<&[u8]>, binding| {
        exchange(start(verifier("pw"), offered), binding, &password("pw")).map(|_| ())
    };
    let bound = |hash: &[u8]| ClientBinding::EndPoint(hash.to_vec());
    assert_eq!(run(Some(b"ours"), bound(b"ours")), Ok(()));
    assert_eq!(run(Some(b"ours"), bound(b"theirs")), Err(ScramError::Binding));
    assert_eq!(run(Some(b"ours"), ClientBinding::NotOffered), Err(ScramError::Downgrade));
    assert_eq!(run(Some(b"ours"), ClientBinding::Unsupported), Ok(()));
    assert_eq!(run(None, ClientBinding::NotOffered), Ok(()));
    assert_eq!(run(None, bound(b"ours")), Err(ScramError::Mechanism));
    let both = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
    assert_eq!(ClientBinding::choose(both, Some(vec![1])), Ok(ClientBinding::EndPoint(vec![1])));
    assert_eq!(ClientBinding::choose(b"SCRAM-SHA-256\0\0", Some(vec![1])), Ok(ClientBinding::NotOffered));
    assert_eq!(ClientBinding::choose(both, None), Ok(ClientBinding::Unsupported));
    assert_eq!(ClientBinding::choose(b"GSSAPI\0\0", None), Err(ScramClientError::Mechanism));
}

#[test]
fn the_flag_must_stay_what_it_was() {
    // `c=` must repeat the header of the first message: "y,," may not become "n,,".
    let (first, proof) = start(verifier("pw"), None).client_first(SHA_256, b"y,,n=,r=client").unwrap();
    let nonce = first.split(',').next().unwrap();
    let last = format!("c=biws,{nonce},p={}", BASE64.encode([0; 32]));
    assert_eq!(proof.client_final(last.as_bytes()).map(|_| ()), Err(ScramError::Binding));
}

#[test]
fn what_a_client_may_not_say() {
    for (mechanism, message, error) in [
        ("PLAIN", "n,,n=,r=x", ScramError::Mechanism),
        (SHA_256_PLUS, "n,,n=,r=x", ScramError::Malformed("no channel binding with PLUS")),
        (SHA_256, "p=tls-server-end-point,,n=,r=x", ScramError::Malformed("channel-binding type")),
        (SHA_256_PLUS, "p=tls-unique,,n=,r=x", ScramError::Malformed("channel-binding type")),
        (SHA_256, "n,a=root,n=,r=x", ScramError::AuthorizationIdentity),
        (SHA_256, "n,,m=ext,n=,r=x", ScramError::Malformed("user name")),
        (SHA_256, "n,,n=,r=", ScramError::Malformed("nonce")),
        (SHA_256, "", ScramError::Malformed("no channel-binding flag")),
    ] {
        let result = start(verifier("pw"), Some(b"ours")).client_first(mechanism, message.as_bytes());
        assert_eq!(result.map(|_| ()), Err(error), "{mechanism} {message}");
    }
}

#[test]
fn a_server_that_lacks_the_verifier_is_noticed() {
    let client = ClientStart::new(ClientBinding::Unsupported, "client".into());
    let challenge = format!("r=clientx,s={},i=8", BASE64.encode(b"0123456789abcdef"));
    let (_, check) = client.challenge(challenge.as_bytes(), &password("pw")).unwrap();
    let forged = format!("v={}", BASE64.encode([0; 32]));
    assert_eq!(check.server_final(forged.as_bytes()), Err(ScramClientError::ServerSignature));
    for hostile in
        ["r=client,s=AA==,i=8", "r=other,s=AA==,i=8", "r=clientx,s=AA==,i=4294967295", "r=clientx,s=AA==,i=0"]
    {
        let client = ClientStart::new(ClientBinding::Unsupported, "client".into());
        assert!(client.challenge(hostile.as_bytes(), &password("pw")).is_err(), "{hostile}");
    }
}

#[test]
fn verifiers_parse_or_do_not() {
    let stored = verifier("pw").to_stored();
    assert_eq!(stored.parse::<ScramVerifier>().unwrap().to_stored(), stored);
    let md5 = format!("md5{}", "0".repeat(32));
    assert_eq!(md5.parse::<ScramVerifier>().unwrap_err(), VerifierError::Md5);
    for bad in
        ["", "pw", &stored[..stored.len() - 4], &stored.replace("$8:", "$0:"), &stored.replace("256", "512")]
    {
        assert_eq!(bad.parse::<ScramVerifier>().unwrap_err(), VerifierError::Malformed, "{bad}");
    }
    assert!(!format!("{:?}", verifier("pw")).contains(&stored[20..30]));
}

#[test]
fn a_mock_is_stable_and_differs_by_user() {
    let mock = |secret: u8, user| ScramVerifier::mock(&[secret; 32], user, 4096).to_stored();
    assert_eq!(mock(1, "amy"), mock(1, "amy"));
    assert_ne!(mock(1, "amy"), mock(1, "bob"));
    assert_ne!(mock(1, "amy"), mock(2, "amy"));
}

proptest! {
    #[test]
    fn any_password_logs_in(text in "\\PC{0,20}") {
        let got = exchange(start(verifier(&text), None), ClientBinding::Unsupported, &password(&text));
        prop_assert!(got.is_ok());
    }

    #[test]
    fn garbage(first in "[a-z=,]{0,30}", last in "[a-zA-Z=,+/]{0,60}") {
        let _ = start(verifier("pw"), None).client_first(SHA_256, first.as_bytes());
        let (_, proof) = start(verifier("pw"), None).client_first(SHA_256, b"n,,n=,r=x").unwrap();
        prop_assert!(proof.client_final(last.as_bytes()).is_err());
        let client = ClientStart::new(ClientBinding::Unsupported, "client".into());
        let _ = client.challenge(last.as_bytes(), &password("pw"));
    }
}
