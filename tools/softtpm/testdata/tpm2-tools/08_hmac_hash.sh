head -c 5000 /dev/zero > long
for alg in sha1 sha256 sha384 sha512; do
	for file in message long; do
		test "$(tpm2_hash -g $alg --hex $file)" = "$(openssl dgst -$alg -r $file | cut -d' ' -f1)"
	done
done
printf 0123456789abcdef0123456789abcdef > hmac.key
tpm2_import -Q -C parent.ctx -G hmac -i hmac.key -u k.pub -r k.priv
tpm2_load -Q -C parent.ctx -u k.pub -r k.priv -c hmackey.ctx
for file in message long; do
	test "$(tpm2_hmac -c hmackey.ctx --hex $file)" = "$(openssl dgst -sha256 -r -mac HMAC -macopt key:0123456789abcdef0123456789abcdef $file | cut -d' ' -f1)"
done
