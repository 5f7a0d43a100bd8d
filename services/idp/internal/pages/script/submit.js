function SwitchToProgressPage() { document.forms["hiddenform"].submit(); }
SwitchToProgressPage();
