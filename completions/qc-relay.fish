complete -c qc-relay -s h -l help -d 'Print help'
complete -c qc-relay -s V -l version -d 'Print version'
