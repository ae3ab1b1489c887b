#!/bin/sh
# What lets the containers of docker-compose.yml talk to each other's HTTP ports: a certificate for these names, and two tokens.
#   secrets.sh FOLDER NAME...        made once; remove the folder (or the volume) for new ones
# FOLDER/web.tokens, tls.crt, tls.key: for the workers. FOLDER/scrape.token: for Prometheus, may only read.
set -eu
umask 077
folder=$1
shift
[ -e "$folder/web.tokens" ] && exit 0
mkdir -p "$folder"
names=""
for name in "$@"; do names="$names,DNS:$name"; done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj "/CN=rumbo" \
  -addext "subjectAltName=${names#,}" -keyout "$folder/tls.key" -out "$folder/tls.crt" 2>/dev/null
openssl rand -hex 32 > "$folder/scrape.token"
{ printf 'read '; cat "$folder/scrape.token"; printf 'write '; openssl rand -hex 32; } > "$folder/web.tokens.new"
chmod 755 "$folder"
chmod 644 "$folder/tls.crt"
if [ "$(id -u)" = 0 ]; then
  chown 10001 "$folder/tls.key" "$folder/web.tokens.new" # the user of the workers' image
  chown 65534 "$folder/scrape.token"                     # and of Prometheus'
fi
mv "$folder/web.tokens.new" "$folder/web.tokens" # last: where it is, all is
