  // ---------------------------------------------------------------- the page of the claims
  for (const [claim, charts] of Object.entries(json("figures"))) {
    for (const chart of charts) addChart(byId(`charts-${claim}`), chart, false);
  }
