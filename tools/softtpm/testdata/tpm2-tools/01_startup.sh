tpm2_startup -c
tpm2_selftest -f
# Some cases below are refused on purpose.
tpm2_dictionarylockout -Q -s -n 100 -t 1000 -l 1000
tpm2_gettestresult
tpm2_incrementalselftest rsa sha256
