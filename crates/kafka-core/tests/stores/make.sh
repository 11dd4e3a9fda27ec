#!/usr/bin/env bash
# Makes the PKCS#12 stores that the tests of `config::security` open: openssl and keytool, each in its present way and in
# the one of ten years ago. The certificates are never verified, so it does not matter when they expire.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# certificate NAME SUBJECT ISSUER EXTENSIONS
certificate() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key"
  openssl req -new -key "$work/$1.key" -subj "$2" -out "$work/$1.csr"
  local by=(-CA "$work/$3.pem" -CAkey "$work/$3.key" -set_serial "0x0${#1}")
  [[ $3 == "$1" ]] && by=(-signkey "$work/$1.key")
  openssl x509 -req -in "$work/$1.csr" "${by[@]}" -days 36500 -extfile <(printf '%s\n' "$4") -out "$work/$1.pem"
}

certificate root '/CN=root' root basicConstraints=CA:true
certificate between '/O=Example/CN=between' root basicConstraints=CA:true
certificate client '/CN=client' between subjectAltName=DNS:client.example,IP:127.0.0.1,IP:::1
cat "$work/root.pem" "$work/between.pem" >"$work/issuers.pem"

identity=(-inkey "$work/client.key" -in "$work/client.pem" -certfile "$work/issuers.pem" -passout pass:changeit)
openssl pkcs12 -export "${identity[@]}" -out openssl.p12
openssl pkcs12 -export -legacy "${identity[@]}" -out openssl-legacy.p12
openssl pkcs12 -export -keypbe NONE -certpbe NONE -nomac "${identity[@]}" -out open.p12

for form in present legacy; do
  keytool -importkeystore -srckeystore openssl.p12 -srcstorepass changeit -deststoretype PKCS12 \
    -deststorepass changeit -destkeystore "$work/keytool-$form.p12" -J-Dkeystore.pkcs12.${form}
  keytool -importcert -noprompt -alias root -file "$work/root.pem" -storetype PKCS12 -storepass changeit \
    -keystore "$work/trust-$form.p12" -J-Dkeystore.pkcs12.${form}
done
mv "$work/keytool-present.p12" keytool.p12
mv "$work/keytool-legacy.p12" keytool-legacy.p12
mv "$work/trust-present.p12" trust.p12
mv "$work/trust-legacy.p12" trust-legacy.p12
cp "$work/client.pem" client.pem
