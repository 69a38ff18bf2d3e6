complete -c qc-top -s h -l help -d 'Print help'
complete -c qc-top -s V -l version -d 'Print version'
