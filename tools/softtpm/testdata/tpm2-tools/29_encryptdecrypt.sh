printf 0123456789abcdef > aes.key
tpm2_import -Q -C parent.ctx -G aes -i aes.key -u k.pub -r k.priv
tpm2_load -Q -C parent.ctx -u k.pub -r k.priv -c k.ctx
head -c 16 /dev/zero > iv
head -c 64 /dev/urandom > plain64
tpm2_encryptdecrypt -Q -c k.ctx -G cfb -t iv -o cipher plain64
openssl enc -aes-128-cfb -K $(xxd -p aes.key) -iv 00000000000000000000000000000000 -in plain64 -out want
cmp cipher want
tpm2_encryptdecrypt -Q -d -c k.ctx -G cfb -t iv -o back cipher
cmp back plain64
