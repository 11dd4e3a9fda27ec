# Certificates, users and client files for --tls and --sasl. Sourced by kafka.sh. Everything is made anew for each
# cluster and lives in its run folder; the passwords are for tests and no secret.

USERS=(admin alice bob)
password_of() { echo "$1-secret"; }

# Keys and certificates, all signed by one authority: server, expired, wrongname, client; and another authority
# ("stranger") that signed nothing here, for clients that trust the wrong one.
security_make_certificates() {
  local certs=$dir/tls
  mkdir -p "$certs"
  chmod 700 "$certs"
  certificate_authority ca
  certificate_authority stranger
  certificate server /CN=localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1' 3650
  certificate wrongname /CN=elsewhere.example 'subjectAltName=DNS:elsewhere.example' 3650
  certificate client /CN=client 'extendedKeyUsage=clientAuth' 3650
  certificate expired /CN=localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1' expired
  openssl pkcs8 -topk8 -in "$certs/client.key" -out "$certs/client-encrypted.key" -passout pass:changeit 2>/dev/null
  openssl pkcs12 -export -in "$certs/client.pem" -inkey "$certs/client.key" -certfile "$certs/ca.pem" \
    -out "$certs/client.p12" -passout pass:changeit
  if command -v keytool >/dev/null; then
    local type
    for type in PKCS12 JKS; do
      keytool -importcert -noprompt -alias ca -file "$certs/ca.pem" -storetype "$type" \
        -keystore "$certs/truststore.${type,,}" -storepass changeit >/dev/null 2>&1
    done
    mv "$certs/truststore.pkcs12" "$certs/truststore.p12"
  fi
}

certificate_authority() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=kafka.sh $1" -keyout "$certs/$1.key" \
    -out "$certs/$1.pem" 2>/dev/null
}

# certificate NAME SUBJECT EXTENSION DAYS|expired
certificate() {
  local validity=(-days "$4")
  openssl req -newkey rsa:2048 -nodes -subj "$2" -keyout "$certs/$1.key" -out "$certs/$1.csr" 2>/dev/null
  if [[ $4 == expired ]]; then
    certificate_in_the_past "$1" "$3"
  else
    openssl x509 -req -in "$certs/$1.csr" -CA "$certs/ca.pem" -CAkey "$certs/ca.key" -CAcreateserial \
      "${validity[@]}" -extfile <(echo "$3") -out "$certs/$1.pem" 2>/dev/null
  fi
  # What Kafka reads as a PEM key store: the key and its chain in one file.
  cat "$certs/$1.key" "$certs/$1.pem" "$certs/ca.pem" >"$certs/$1-store.pem"
  rm -f "$certs/$1.csr"
}

# `openssl x509` cannot date back; `openssl ca` can.
certificate_in_the_past() {
  local work=$certs/past
  mkdir -p "$work"
  : >"$work/index.txt"
  printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index.txt\nnew_certs_dir=%s\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\n%s\n' \
    "$work" "$work" "$2" >"$work/ca.cnf"
  openssl ca -batch -config "$work/ca.cnf" -cert "$certs/ca.pem" -keyfile "$certs/ca.key" -in "$certs/$1.csr" \
    -startdate 20240101000000Z -enddate 20240201000000Z -notext -out "$certs/$1.pem" 2>/dev/null
  rm -rf "$work"
}

security_server_properties() {
  if ((tls)); then
    local l store
    for l in SSL MTLS EXPIRED WRONGNAME SASL_SSL; do
      case $l in EXPIRED | WRONGNAME) store=${l,,} ;; *) store=server ;; esac
      cat <<EOF
listener.name.${l,,}.ssl.keystore.type=PEM
listener.name.${l,,}.ssl.keystore.location=$dir/tls/$store-store.pem
listener.name.${l,,}.ssl.truststore.type=PEM
listener.name.${l,,}.ssl.truststore.location=$dir/tls/ca.pem
EOF
    done
    echo listener.name.mtls.ssl.client.auth=required
  fi
  ((sasl)) || return 0
  local l u plain='org.apache.kafka.common.security.plain.PlainLoginModule required'
  for u in "${USERS[@]}"; do plain+=" user_$u=\"$(password_of "$u")\""; done
  cat <<EOF
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin
EOF
  for l in sasl_plaintext sasl_ssl; do
    cat <<EOF
listener.name.$l.plain.sasl.jaas.config=$plain;
listener.name.$l.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.$l.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.$l.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="admin";
EOF
  done
}

# The SCRAM users, as arguments of `StorageTool format`, into the array named.
security_scram_arguments() {
  local -n into=$1
  local u mechanism
  for u in "${USERS[@]}"; do
    for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do
      into+=(--add-scram "$mechanism=[name=$u,password=$(password_of "$u")]")
    done
  done
}

# client-*.properties, as Apache's tools read them: one per way in.
security_write_client_files() {
  local u mechanism module
  local out=$dir/client
  mkdir -p "$out"
  if ((tls)); then
    client_file ssl SSL
    client_file mtls SSL "ssl.keystore.type=PEM" "ssl.keystore.location=$dir/tls/client-store.pem"
    client_file ssl-wrong-ca SSL "ssl.truststore.location=$dir/tls/stranger.pem"
  fi
  ((sasl)) || return 0
  for u in "${USERS[@]}"; do
    for mechanism in PLAIN SCRAM-SHA-256 SCRAM-SHA-512; do
      module=org.apache.kafka.common.security.scram.ScramLoginModule
      [[ $mechanism == PLAIN ]] && module=org.apache.kafka.common.security.plain.PlainLoginModule
      local lines=("sasl.mechanism=$mechanism"
        "sasl.jaas.config=$module required username=\"$u\" password=\"$(password_of "$u")\";")
      client_file "sasl-plaintext-${mechanism,,}-$u" SASL_PLAINTEXT "${lines[@]}"
      if ((tls)); then client_file "sasl-ssl-${mechanism,,}-$u" SASL_SSL "${lines[@]}"; fi
    done
  done
}

# client_file NAME PROTOCOL LINE...
client_file() {
  local to=$out/$1.properties
  {
    echo "security.protocol=$2"
    [[ $2 == *SSL ]] && printf 'ssl.truststore.type=PEM\nssl.truststore.location=%s/tls/ca.pem\n' "$dir"
    printf '%s\n' "${@:3}"
  } >"$to"
  chmod 600 "$to"
}

security_list_files() {
  local f
  for f in "$dir"/tls/* "$dir"/client/*; do
    [[ -f $f ]] && printf 'file %s %s\n' "$(basename "$f")" "$f"
  done
  return 0
}
