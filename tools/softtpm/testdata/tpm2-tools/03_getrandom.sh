test "$(tpm2_getrandom 32 | wc -c)" = 32
test "$(tpm2_getrandom --hex 8)" != "$(tpm2_getrandom --hex 8)"
echo more > more
tpm2_stirrandom more
