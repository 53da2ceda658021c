#!/usr/bin/env bash
# Prepares the volume of docker/compose.yaml once: certificates, secrets, configuration. For the
# demonstration only: the passwords are those of demo/roles.sql.
set -euo pipefail

state=/var/lib/pgglass
[ -f "$state/pgglass.toml" ] && exit 0
command -v openssl >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends openssl; }

umask 077
mkdir -p "$state/tls" "$state/secrets" "$state/ledger"
cd "$state/tls"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj '/CN=pgglass demo CA' \
    -keyout ca.key -out ca.crt
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN=localhost' -keyout server.key -out server.csr
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:false\nextendedKeyUsage=serverAuth\n' >server.ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -set_serial 2 -days 365 -extfile server.ext -out server.crt
rm ca.key

printf 'pgglass-demo\n' >"$state/secrets/service-password"
pgglass keygen --out "$state/secrets/ledger.key" --name compose-1
# Inside the compose network the proxy listens on every address and the database has a name.
sed -e "s|127.0.0.1:@LISTEN_PORT@|0.0.0.0:6432|" -e 's|host = "127.0.0.1"|host = "database"|' -e "s|@UPSTREAM_PORT@|5432|" \
    -e "s|@DIR@|$state|" -e "s|@DATABASE@|clinic|" -e "s|@NODE@|compose-1|" /pgglass.template.toml >"$state/pgglass.toml"
chown -R pgglass:pgglass "$state"
