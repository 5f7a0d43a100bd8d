tpm2_nvdefine -Q 0x1500001 -C o -s 64 -a 'ownerread|ownerwrite|authread|authwrite'
echo -n stored > data
tpm2_nvwrite -Q 0x1500001 -C o -i data
test "$(tpm2_nvread 0x1500001 -C o -s 6)" = stored
tpm2_nvwrite -Q 0x1500001 -C o -i data --offset 32
test "$(tpm2_nvread 0x1500001 -C o -s 6 --offset 32)" = stored
! tpm2_nvread -Q 0x1500001 -C o -s 6 --offset 60
tpm2_nvreadpublic 0x1500001 | has written
tpm2_nvreadpublic | has 0x1500001
tpm2_nvundefine -Q 0x1500001 -C o
! tpm2_nvread -Q 0x1500001 -C o -s 6

tpm2_nvdefine -Q 0x1500002 -C o -s 8 -p secret -a 'authread|authwrite|no_da'
tpm2_nvwrite -Q 0x1500002 -P secret -i data
test "$(tpm2_nvread 0x1500002 -P secret -s 6)" = stored
! tpm2_nvread -Q 0x1500002 -P wrong -s 6
! tpm2_nvread -Q 0x1500002 -C o -s 6
tpm2_nvundefine -Q 0x1500002 -C o
