-- Users of before authenticators had names: Push was true for who had one.
UPDATE users SET record = json_set(record, '$.Push', CASE json_extract(record, '$.Push')
    WHEN 1 THEN json_array(json_object('ID', lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))), 'Name', 'Authenticator app'))
    ELSE json_array() END);
