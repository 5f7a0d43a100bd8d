echo -n plain > plain
for scheme in rsaes oaep; do
	tpm2_rsaencrypt -Q -c rsa2048.ctx -s $scheme -o cipher plain
	tpm2_rsadecrypt -Q -c rsa2048.ctx -s $scheme -o back cipher
	cmp plain back
done
openssl pkeyutl -encrypt -pubin -inkey rsa2048.pem -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -in plain -out cipher
tpm2_rsadecrypt -Q -c rsa2048.ctx -s oaep -o back cipher
cmp plain back
printf x | dd of=cipher bs=1 seek=100 conv=notrunc status=none
! tpm2_rsadecrypt -Q -c rsa2048.ctx -s oaep -o back cipher
