#!/bin/sh
# Starts PostgreSQL, and makes its data when there are none. A start that was cut short
# leaves none: they are made beside their place and moved there whole.
set -eu
: "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	new="$PGDATA.new"
	rm -rf "$new"
	"$PGHOME/bin/initdb" -D "$new" -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-instructions
	echo 'host all all all scram-sha-256' >>"$new/pg_hba.conf"
	if [ "$POSTGRES_DB" != postgres ]; then
		echo "CREATE DATABASE \"$POSTGRES_DB\"" | "$PGHOME/bin/postgres" --single -D "$new" postgres >/dev/null
	fi
	rm -rf "$PGDATA"
	mv "$new" "$PGDATA"
fi
exec "$PGHOME/bin/postgres" -D "$PGDATA" -c 'listen_addresses=*' "$@"
